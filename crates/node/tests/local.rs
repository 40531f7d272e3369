//! A home without a running node: streams made, written, read and opened again.

use bytes::Bytes;
use quorate_net::runtime::AsyncStd;
use quorate_node::model::{Encoding, NewStream};
use quorate_node::{Client, Code, proof_file};
use quorate_types::BlockRange;

fn run<T>(test: impl Future<Output = T>) -> T {
    AsyncStd::block_on(test)
}

fn new(name: &str) -> NewStream {
    NewStream { name: name.into(), encoding: Encoding::Utf8, room: None }
}

#[test]
fn appended_blocks_are_there_after_opening_again() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let client = Client::connect(home.path()).await.unwrap();
        assert!(!client.is_remote());
        let info = client.create(new("log")).await.unwrap();
        assert!(info.writable);
        assert_eq!((info.length, info.byte_length), (0, 0));
        let appended = client.append("log", vec![Bytes::from("one"), Bytes::from("two")]).await.unwrap();
        assert_eq!((appended.start, appended.length, appended.bytes), (0, 2, 6));
        client.close().await.unwrap();

        let client = Client::connect(home.path()).await.unwrap();
        let short = &info.key.to_string()[..8];
        for name in ["log", short, &info.link] {
            assert_eq!(client.get(name, 1).await.unwrap(), "two");
        }
        let again = client.info("log").await.unwrap();
        assert_eq!((again.length, again.here, again.durable, again.encoding), (2, 2, 2, Encoding::Utf8));
        let blocks = client.blocks("log", BlockRange::new(0, 10)).await.unwrap();
        assert_eq!(blocks.iter().map(|block| block.size.unwrap()).collect::<Vec<_>>(), [3, 3]);
        let summary = client.audit("log", &mut |_, _| {}).await.unwrap();
        assert_eq!((summary.blocks, summary.signatures, summary.faults.len()), (2, 1, 0));
        client.close().await.unwrap();
    });
}

#[test]
fn failures_have_codes_that_say_what_is_wrong() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let client = Client::connect(home.path()).await.unwrap();
        let code = |failure: quorate_node::Failure| failure.code;
        assert_eq!(client.info("nothing").await.map_err(code), Err(Code::StreamNotFound));
        client.create(new("a")).await.unwrap();
        assert_eq!(client.create(new("a")).await.map_err(code), Err(Code::NameTaken));
        assert_eq!(client.create(new("../a")).await.map_err(code), Err(Code::BadName));
        assert_eq!(client.get("a", 0).await.map_err(code), Err(Code::BlockBeyondEnd));
        let second = Client::connect(home.path()).await.unwrap();
        let failure = second.info("a").await.unwrap_err();
        assert_eq!(failure.code, Code::Locked);
        assert!(failure.message.contains("this process"), "{failure}");
    });
}

#[test]
fn proofs_hold_offline_and_only_unchanged() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let client = Client::connect(home.path()).await.unwrap();
        client.create(new("a")).await.unwrap();
        let blocks = (0..11).map(|i| Bytes::from(format!("block {i}"))).collect();
        client.append("a", blocks).await.unwrap();
        for index in 0..11 {
            let file = client.proof("a", index).await.unwrap();
            let text = serde_json::to_string(&file).unwrap();
            let file: quorate_node::model::ProofFile = serde_json::from_str(&text).unwrap();
            let verified = proof_file::verify(&file).unwrap();
            assert_eq!((verified.index, verified.length), (index, 11));
            assert_eq!(verified.block, format!("block {index}"));
            let mut changed = file.clone();
            changed.block = "AAAA".into();
            assert_eq!(proof_file::verify(&changed).unwrap_err().code, Code::BadProof);
            let mut changed = file;
            changed.length = 12;
            assert_eq!(proof_file::verify(&changed).unwrap_err().code, Code::BadProof);
        }
    });
}

#[test]
fn cleared_blocks_are_gone_and_said_to_be() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let client = Client::connect(home.path()).await.unwrap();
        client.create(new("a")).await.unwrap();
        client.append("a", vec![Bytes::from("x"); 5]).await.unwrap();
        assert_eq!(client.clear("a", BlockRange::new(1, 3)).await.unwrap(), 2);
        assert_eq!(client.get("a", 1).await.unwrap_err().code, Code::BlockNotHere);
        assert_eq!(client.get("a", 3).await.unwrap(), "x");
        let info = client.info("a").await.unwrap();
        assert_eq!((info.length, info.here), (5, 3));
        assert_eq!(client.audit("a", &mut |_, _| {}).await.unwrap().missing, 2);
    });
}
