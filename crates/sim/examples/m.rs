use quorate_sim::model::*;
fn main() {
    let a: Vec<u8> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let mut s = Settings::new(a[0], a[1], a[2]);
    s.forks = a[3];
    s.crashes = a[4];
    s.seal_last = a[5] == 1;
    s.change = match a[6] {
        0 => Change::No,
        1 => Change::Add,
        2 => Change::Remove,
        n => Change::Swap(n - 2),
    };
    let t = std::time::Instant::now();
    println!("{}", search(s, 2));
    println!("{:?}", t.elapsed());
}
