//! Evidence that is brought to a room, and what its user decides about the key.

use data_encoding::BASE64;
use quorate_net::runtime::AsyncStd;
use quorate_node::model::{Encoding, NewQuorum, NewRoom, NewStream, Policy, Publish, Resolve};
use quorate_node::{Code, Node, NodeConfig};
use quorate_quorum::evidence::{Claim, Evidence};
use quorate_quorum::head::Head;
use quorate_quorum::key::Signer;
use quorate_quorum::statement::{Common, Target, Verified, Vote};
use quorate_quorum::validators::ValidatorSet;
use quorate_types::{Hash, RoomId, RulesHash, StateRoot};

/// Two votes of one validator for one length.
fn double_vote(
    room: RoomId,
    feed: quorate_types::PublicKey,
    validators: &ValidatorSet,
    by: &Signer,
) -> Evidence {
    let vote = |byte: u8| {
        let common = Common { room, epoch: 0, vset: *validators.hash(), signer: by.public() };
        let target = Target {
            head: Head::new(5, Hash::new([byte; 32])).unwrap(),
            state_root: StateRoot::new([0; 32]),
            rules_hash: RulesHash::new([0; 32]),
        };
        *Verified::sign(Vote { common, feed, target, ack: None }, by).signed()
    };
    Evidence { room, claim: Claim::double_vote(vote(1), vote(2)) }
}

fn publish(evidence: &Evidence) -> Publish {
    Publish { evidence: String::new(), bytes: Some(BASE64.encode(&evidence.encode())) }
}

#[test]
fn a_validator_that_voted_twice_can_be_muted_and_not_stopped() {
    AsyncStd::block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let node = Node::open(NodeConfig::new(directory.path())).await.unwrap();
        let signers: Vec<Signer> = (1..=4).map(|seed| Signer::from_seed(&[seed; 32])).collect();
        let keys: Vec<_> = signers.iter().map(Signer::public).collect();
        let quorum = NewQuorum { validators: keys.clone(), ..NewQuorum::default() };
        let room = NewRoom { rules: Vec::new(), rule_delay: 0, quorum: Some(quorum) };
        let new = NewStream { name: "talk".into(), encoding: Encoding::Json, room: Some(room) };
        let stream = node.create(new).await.unwrap();
        let id = stream.info().await.unwrap().room.unwrap().id;
        let validators = ValidatorSet::new(keys, 0).unwrap();
        let twice = |room, by: &Signer| double_vote(room, *stream.key(), &validators, by);

        // What is about another room, or by somebody who is none of its validators, proves nothing here.
        for evidence in [twice(RoomId::new([9; 32]), &signers[0]), twice(id, &Signer::from_seed(&[9; 32]))] {
            let failure = node.publish("talk", publish(&evidence)).await.unwrap_err();
            assert_eq!(failure.code, Code::NoEvidence, "{failure}");
        }
        assert_eq!(stream.info().await.unwrap().evidence, []);

        // Nobody is connected: it is kept, and told to nobody.
        let published = node.publish("talk", publish(&twice(id, &signers[0]))).await.unwrap();
        assert_eq!((published.peers, published.in_room), (0, true));
        let found = stream.info().await.unwrap().evidence;
        assert_eq!((found.len(), found[0].kind.as_str(), found[0].id), (1, "double-vote", published.id));
        assert_eq!(
            (found[0].policy, found[0].resolved, found[0].culprit),
            (Policy::Warn, false, signers[0].public())
        );

        // Whoever looks at the votes sees both, of which the node heard by the evidence alone.
        let quorum = stream.info().await.unwrap().room.unwrap().quorum.unwrap();
        let votes = quorum.votes.iter().filter(|vote| vote.validator == signers[0].public());
        let mut hashes: Vec<_> = votes.map(|vote| (vote.length, vote.tree_hash)).collect();
        hashes.dedup();
        assert_eq!((hashes.len(), hashes[0].0), (2, hashes[1].0), "{hashes:?}");
        assert_eq!(quorum.validators[0].voted, 0, "what contradicts itself counts for nothing");

        let resolve = |policy, own_backup| {
            let resolve = Resolve { evidence: published.id.to_string(), policy, own_backup };
            node.resolve("talk", resolve)
        };
        for failure in [
            resolve(Some(Policy::StopReplicating), false).await.unwrap_err(),
            resolve(None, true).await.unwrap_err(),
        ] {
            assert_eq!(failure.code, Code::PolicyUnfit, "{failure}");
        }
        assert_eq!(node.decisions(), []);
        let decision = resolve(Some(Policy::Mute), false).await.unwrap();
        assert_eq!((decision.key, decision.policy), (signers[0].public(), Policy::Mute));
        node.shutdown().await.unwrap();

        // It is so after a restart.
        let again = Node::open(NodeConfig::new(directory.path())).await.unwrap();
        assert_eq!(again.decisions(), [decision]);
        let found = again.open_stream("talk").await.unwrap().info().await.unwrap().evidence;
        assert_eq!((found.len(), found[0].policy, found[0].resolved), (1, Policy::Mute, true));
        again.shutdown().await.unwrap();
    });
}
