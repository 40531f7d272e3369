//! Links with a name where others have a key, by a web server and a DNS server of our own.

use anyhow::Result;
use quorate_interop_tests::{DatVersion, Workspace};
use serde_json::json;

use crate::support::{Ours, network};

const NAME: &str = "archive.example";

/// Of the name, signed with its own key, valid until 2126; nobody else uses it.
const CERTIFICATE: &str = include_str!("../../fixtures/name-server/certificate.pem");
const SECRET_KEY: &str = include_str!("../../fixtures/name-server/key.pem");

/// What the servers say: a file, a TXT record, or neither.
fn cloned_by(file: Option<&str>, record: Option<&str>, trusted: bool) -> Result<Option<Result<String>>> {
    let Some(lan) = network(3)? else { return Ok(None) };
    let workspace = Workspace::new()?;
    let ours = Ours::new(&lan, 2, &workspace)?;
    let key = ours.create("feed", &["one"])?;
    let _share = ours.share()?;
    let with_key = |text: &str| text.replace("KEY", &key);
    let options = json!({
        "name": NAME,
        "address": lan.address(1),
        "file": file.map(with_key),
        "record": record.map(with_key),
        "cert": CERTIFICATE,
        "key": SECRET_KEY,
    });
    let _servers = DatVersion::name_server(&lan, 1, &options)?;
    let mut other = Ours::new(&lan, 3, &workspace)?;
    other.set("QUORATE_RESOLVE", "https,dns");
    if trusted {
        let path = workspace.join("certificate.pem");
        std::fs::write(&path, CERTIFICATE)?;
        other.set("SSL_CERT_FILE", &path.to_string_lossy());
    }
    let cloned = other.run(&["clone", &format!("dat://{NAME}/"), "feed"]);
    Ok(Some(cloned.map(|cloned| cloned[0]["key"].as_str().unwrap_or_default().replace(&key, "KEY"))))
}

#[test]
fn a_web_server_says_which_key_its_name_stands_for() -> Result<()> {
    let other = format!("datkey={}", "ab".repeat(32));
    let Some(cloned) = cloned_by(Some("dat://KEY/\nTTL=60\n"), Some(&other), true)? else { return Ok(()) };
    assert_eq!(cloned?, "KEY", "the file comes before the record");
    Ok(())
}

#[test]
fn a_record_says_it_where_the_web_server_does_not() -> Result<()> {
    let Some(cloned) = cloned_by(None, Some("datkey=KEY"), true)? else { return Ok(()) };
    assert_eq!(cloned?, "KEY");
    Ok(())
}

#[test]
fn a_web_server_with_a_certificate_of_its_own_making_says_nothing() -> Result<()> {
    let Some(cloned) = cloned_by(Some("dat://KEY"), None, false)? else { return Ok(()) };
    let refused = cloned.unwrap_err().to_string();
    assert!(refused.contains("E1022") && refused.contains("certificate"), "{refused}");
    assert!(refused.contains("no record has datkey="), "{refused}");
    Ok(())
}
