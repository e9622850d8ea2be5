use std::os::unix::fs::PermissionsExt;

use hpo_wire::Hello;

use super::fake::{Driver, target, write_token};
use super::*;

async fn next(link: &mut Link) -> LinkEvent {
    timeout(Duration::from_secs(20), link.next()).await.expect("no event").expect("the link has ended")
}

/// Why dialling fails at once.
async fn fault(folder: &Path) -> ConnectFault {
    match next(&mut Link::dial(target(folder), Duration::ZERO)).await {
        LinkEvent::Down(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn hello() -> FromWorker {
    let (sweep, version, name) = (String::new(), "1".to_owned(), "n".to_owned());
    FromWorker::Hello(Hello {
        protocol: 1,
        worker: WorkerId(7),
        name,
        slots: vec![],
        holds: vec![],
        sweep,
        version,
        allocation: None,
        leaving: false,
    })
}

#[tokio::test]
async fn words_go_both_ways_until_the_driver_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut driver = Driver::start(folder.path()).await;
    let mut link = Link::dial(target(folder.path()), Duration::from_millis(10));
    let LinkEvent::Up(mouth) = next(&mut link).await else { panic!("it does not stand") };
    mouth.send(hello()).await.unwrap();
    assert_eq!(driver.next().await, hello());
    driver.say(FromDriver::Heartbeat).await;
    assert!(matches!(next(&mut link).await, LinkEvent::Said(FromDriver::Heartbeat)));
    let goodbye = FromWorker::Goodbye { why: "done".to_owned() };
    mouth.send(goodbye.clone()).await.unwrap();
    assert_eq!(driver.next().await, goodbye);
    driver.die().await;
    let LinkEvent::Down(fault) = next(&mut link).await else { panic!("it stands") };
    assert_eq!(fault.remedy(), Remedy::Retry, "{fault}");
    assert!(link.next().await.is_none(), "nothing comes after");
}

#[tokio::test]
async fn a_wrong_token_is_refused_by_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path()).await;
    write_token(folder.path(), "another");
    let mut link = Link::dial(target(folder.path()), Duration::ZERO);
    let LinkEvent::Up(mouth) = next(&mut link).await else { panic!("it does not stand") };
    mouth.send(hello()).await.unwrap();
    let LinkEvent::Down(fault) = next(&mut link).await else { panic!("it stands") };
    assert_eq!(fault.remedy(), Remedy::RetryIfWelcomed);
    let token = folder.path().join("token");
    assert_eq!(fault.to_string(), format!("the driver refuses the token of `{}`: that is not the token", token.display()));
}

#[tokio::test]
async fn a_token_that_others_can_read_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path()).await;
    let token = folder.path().join("token");
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
        let fault = fault(folder.path()).await;
        assert!(matches!(&fault, ConnectFault::TokenNotPrivate { mode: found, .. } if *found == mode), "{fault}");
        assert!(fault.to_string().contains("chmod 600"), "{fault}");
        assert_eq!(fault.remedy(), Remedy::RetryIfWelcomed);
    }
    write_token(folder.path(), "");
    assert!(matches!(fault(folder.path()).await, ConnectFault::TokenEmpty { .. }));
    fs::remove_file(&token).unwrap();
    let absent = fault(folder.path()).await;
    assert!(matches!(&absent, ConnectFault::NoToken { path } if *path == token) && absent.remedy() == Remedy::Retry, "{absent}");
    let rendezvous = folder.path().join("rendezvous.json");
    fs::remove_file(rendezvous).unwrap();
    fs::write(folder.path().join("ended.json"), r#"{"format":1,"why":"all trials are done"}"#).unwrap();
    let ended = fault(folder.path()).await;
    assert!(matches!(ended, ConnectFault::Ended { .. }), "also for one without a token: {ended}");
}

#[tokio::test]
async fn a_driver_that_is_not_there_is_looked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    write_token(folder.path(), "secret");
    let gone = fault(folder.path()).await;
    assert!(matches!(gone, ConnectFault::NoDriver { .. }) && gone.remedy() == Remedy::Retry, "{gone}");
    for (left, over) in [("{\"torn", false), (r#"{"format":1,"why":"all trials are done"}"#, true)] {
        fs::write(folder.path().join("ended.json"), left).unwrap();
        let gone = fault(folder.path()).await;
        assert_eq!(gone.to_string() == "the sweep has ended: all trials are done", over, "{gone}");
    }
    let rendezvous = folder.path().join("rendezvous.json");
    fs::write(&rendezvous, r#"{"format":1,"addresses":["127.0.0.1:1"],"tls":false}"#).unwrap();
    let gone = fault(folder.path()).await;
    assert!(matches!(&gone, ConnectFault::Dial(DialFault::Unreachable { address, .. }) if address == "127.0.0.1:1"), "{gone}");
    assert_eq!(gone.remedy(), Remedy::Retry);
}

#[tokio::test]
async fn a_rendezvous_that_is_not_understood_says_why() {
    let folder = tempfile::tempdir().unwrap();
    write_token(folder.path(), "secret");
    let wrong = [
        ("{", "EOF while parsing"),
        (r#"{"format":2,"addresses":["a:1"],"tls":true}"#, "it has format 2, not 1"),
        (r#"{"format":1,"addresses":["a:1"]}"#, "missing field `tls`"),
        (r#"{"format":1,"addresses":[],"tls":true}"#, "it names no address"),
    ];
    for (text, why) in wrong {
        fs::write(folder.path().join("rendezvous.json"), text).unwrap();
        let fault = fault(folder.path()).await;
        assert!(matches!(fault, ConnectFault::Rendezvous { .. }) && fault.to_string().contains(why), "{fault}");
    }
    fs::write(folder.path().join("rendezvous.json"), r#"{"format":1,"addresses":["no address"],"tls":false}"#).unwrap();
    assert!(matches!(fault(folder.path()).await, ConnectFault::Dial(DialFault::Address { .. })));
}

#[tokio::test]
async fn an_authority_that_is_none_or_that_others_can_write_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    write_token(folder.path(), "secret");
    fs::write(folder.path().join("rendezvous.json"), r#"{"format":1,"addresses":["127.0.0.1:1"],"tls":true}"#).unwrap();
    assert!(matches!(fault(folder.path()).await, ConnectFault::Read { .. }), "there is no ca.pem");
    let authority = folder.path().join("ca.pem");
    fs::write(&authority, "no certificate").unwrap();
    fs::set_permissions(&authority, fs::Permissions::from_mode(0o600)).unwrap();
    let none = fault(folder.path()).await;
    assert!(matches!(none, ConnectFault::Authority { .. }) && none.to_string().contains("ca.pem` is not the certificate"), "{none}");
    fs::set_permissions(&authority, fs::Permissions::from_mode(0o620)).unwrap();
    let open = fault(folder.path()).await;
    assert!(open.to_string().contains("can be written by others (mode 620)") && open.remedy() == Remedy::RetryIfWelcomed, "{open}");
}
