//! Links as people paste them.

use quorate_types::{Link, PublicKey};

use crate::Target;

pub(super) const TARGET: Target = Target { name: "links", run, seeds, cost: 1 };

fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(link) = text.parse::<Link>() {
        assert_eq!(link.to_string().parse(), Ok(link), "a printed link is the link");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let key = PublicKey::new([0x5d; 32]).to_string();
    let forms = [
        key.clone(),
        key.to_uppercase(),
        format!("dat://{key}"),
        format!("hyper://{key}+12/path?query#part"),
        format!("https://example.com/{key}/file"),
        "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1y".to_owned(),
        "pear://ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1y".to_owned(),
    ];
    forms.map(String::into_bytes).into()
}
