//! Headers and entries of SLEEP files.

use quorate_feed::sleep::{Header, Kind, decode_node, decode_signature, encode_node};

use crate::Target;

pub(super) const TARGET: Target = Target { name: "sleep", run, seeds, cost: 1 };

fn run(input: &[u8]) {
    for kind in [Kind::Bitfield, Kind::Signatures, Kind::Tree] {
        if let Ok(header) = Header::parse(kind, input) {
            assert_eq!(header.kind, kind);
            assert_eq!(Header::parse(kind, &header.encode()), Ok(header));
        }
    }
    if let Some((hash, size)) = decode_node(input) {
        assert_eq!(decode_node(&encode_node(&hash, size)), Some((hash, size)));
    }
    if let Some(signature) = decode_signature(input) {
        assert_eq!(decode_signature(signature.as_bytes()), Some(signature));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        [Kind::Bitfield, Kind::Signatures, Kind::Tree].map(|kind| Header::new(kind).encode().to_vec()).into();
    seeds.push([vec![0xab; 32], 1000_u64.to_be_bytes().to_vec()].concat());
    seeds.push(vec![0xcd; 64]);
    seeds
}
