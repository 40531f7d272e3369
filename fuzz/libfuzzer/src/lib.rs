//! Entry points for libFuzzer to the targets of `quorate-fuzz`.

/// Runs one input through a target.
pub fn run(name: &str, input: &[u8]) {
    let target = quorate_fuzz::Target::named(name).expect("every entry point has its target");
    (target.run)(input);
}
