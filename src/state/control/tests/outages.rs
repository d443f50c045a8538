use std::io;

use super::*;

#[tokio::test]
async fn starting_before_the_authorization_server_recovers_by_itself() {
    let server = Server::plain().await;
    let issuer = at(&server);
    let address = server.stop().await;
    let rig = Rig::new(Folder::new(), vec![issuer]);
    rig.refresh().await;
    let status = rig.status();
    assert_eq!((rig.keys(0), status.state, rig.board.has_been_usable()), (None, Usability::NotYet, false));
    assert!(status.error.unwrap().contains("refused"));

    let server = Server::on(address, None).await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    rig.until(|rig| rig.keys(0) == Some(1)).await;
    assert_eq!((rig.status().state, rig.status().error), (Usability::Usable, None));
    assert!(rig.counted().starts_with(&["connect"]));
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_keeps_the_old_keys() {
    let server = Server::plain().await;
    let good = Reply::ok(jwks(&[&jwk("a")]));
    let symmetric = r#"{"kty":"oct","k":"c2VjcmV0","kid":"s"}"#;
    for (bad, outcome) in [
        (Reply::status(500), "status"),
        (Reply::status(302).header("location", JWKS), "redirect"),
        (Reply::ok("<html>not today</html>"), "invalid"),
        (Reply::ok(r#"{"keys":[]}"#), "invalid"),
        (Reply::ok(jwks(&[symmetric])), "invalid"),
        (Reply::ok(vec![b' '; 2 * calls::MAX_BODY]), "too-large"),
    ] {
        server.set(JWKS, good.clone());
        let rig = Rig::ready(&server).await;
        let generation = rig.generation(0);
        server.set(JWKS, bad);
        rig.refresh().await;
        assert_eq!(rig.counted()[1], outcome);
        assert_eq!((rig.generation(0), rig.keys(0)), (generation, Some(1)), "{outcome}");
        let status = rig.status();
        assert_eq!((status.state, status.keys), (Usability::Usable, 1));
        let error = status.error.unwrap();
        assert!(error.starts_with(&server.url(JWKS)) && !error.contains("c2VjcmV0"), "{error}");

        server.set(JWKS, good.clone());
        rig.until(|rig| rig.status().error.is_none()).await;
        assert_eq!(rig.generation(0), generation, "the same keys after the outage cost no remembered token");
    }
}

#[tokio::test]
async fn one_odd_key_does_not_cost_the_others() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a"), r#"{"kty":"oct","k":"c2VjcmV0"}"#])));
    let rig = Rig::ready(&server).await;
    assert_eq!(rig.keys(0), Some(1));
}

#[tokio::test]
async fn keys_that_cannot_be_refreshed_serve_until_jwks_max_stale_and_come_back_after_it() {
    let server = Server::plain().await;
    let good = Reply::ok(jwks(&[&jwk("a")])).header("etag", "\"1\"");
    server.set(JWKS, good.clone());
    let mut issuer = at(&server);
    issuer.jwks_refresh = Duration::from_secs(1);
    issuer.jwks_max_stale = Duration::from_millis(500);
    let rig = Rig::new(Folder::new(), vec![issuer]);
    rig.until(|rig| rig.keys(0).is_some()).await;
    let (generation, begun) = (rig.generation(0), Instant::now());

    server.set(JWKS, Reply::status(503));
    rig.until(|rig| rig.keys(0).is_none()).await;
    assert!(begun.elapsed() > Duration::from_millis(1400), "{:?}", begun.elapsed());
    assert_ne!(rig.generation(0), generation);
    assert_eq!(rig.status().state, Usability::Stale);
    assert!(rig.board.has_been_usable(), "a later outage does not turn it back");

    server.set(JWKS, good);
    rig.until(|rig| rig.keys(0) == Some(1)).await;
}

/// What `tracing` writes while a test runs on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_outage_is_logged_once_and_its_end_too() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let server = Server::plain().await;
    let good = Reply::ok(jwks(&[&jwk("a"), r#"{"kty":"oct","k":"c2VjcmV0"}"#]));
    server.set(JWKS, good.clone());
    let rig = Rig::ready(&server).await;
    server.set(JWKS, Reply::status(500));
    for _ in 0..3 {
        rig.refresh().await;
    }
    server.set(JWKS, good);
    rig.until(|rig| rig.status().error.is_none()).await;

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for (said, times) in [
        ("the issuer's keys were read", 1),
        ("keys of the issuer are left out", 1),
        ("the issuer's keys cannot be fetched", 1),
        ("status 500", 1),
        ("the issuer's keys can be fetched again", 1),
        ("c2VjcmV0", 0),
    ] {
        assert_eq!(text.matches(said).count(), times, "{said}: {text}");
    }
}
