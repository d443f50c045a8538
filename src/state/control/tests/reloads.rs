use super::*;

impl Rig {
    /// Lets the next look at the files find these issuers, and looks.
    async fn reload(&self, issuers: Vec<(Issuer, Arc<CallMaterial>)>) {
        *self.files.lock().unwrap() = Some(snapshot(issuers, Some(&self.shared.load())));
        self.control.reload().await;
        self.until(|rig| rig.files.lock().unwrap().is_none()).await;
    }
}

fn named(name: &str, server: &Server, path: &str) -> Issuer {
    issuer(name, KeySource::Uri(server.url(path)))
}

#[tokio::test]
async fn files_are_looked_at_every_few_seconds_too() {
    let server = Server::plain().await;
    let rig = Rig::new(vec![(at(&server), material())]);
    *rig.files.lock().unwrap() = Some(snapshot(vec![(issuer("https://b", file()), material())], None));
    rig.until(|rig| rig.files.lock().unwrap().is_none()).await;
    assert_eq!(&*rig.shared.load().issuers[0].name, "https://b");
}

#[tokio::test]
async fn an_issuer_that_stays_keeps_its_keys_without_a_call() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    server.set("/b", Reply::ok(jwks(&[&jwk("a"), &jwk("b")])));
    let (a, b) = ((at(&server), material()), (named("https://b", &server, "/b"), material()));
    let rig = Rig::new(vec![a.clone()]);
    rig.until(|rig| rig.keys(0) == Some(1)).await;
    let generation = rig.generation(0);

    rig.reload(vec![b, a]).await;
    rig.until(|rig| rig.keys(0) == Some(2)).await;
    assert_eq!((rig.keys(1), rig.generation(1), server.hits(JWKS)), (Some(1), generation, 1));
    let names: Vec<_> = rig.board.issuers().iter().map(|status| status.issuer.to_string()).collect();
    assert_eq!(names, ["https://b", "https://as"]);
}

#[tokio::test]
async fn a_fetch_in_flight_reaches_its_issuer_at_its_new_place() {
    let server = Server::plain().await;
    let gate = Arc::new(Semaphore::new(0));
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])).gate(&gate));
    let a = (at(&server), material());
    let rig = Rig::new(vec![a.clone()]);
    server.until_hits(JWKS, 1).await;
    rig.reload(vec![(issuer("https://b", file()), material()), a]).await;
    gate.add_permits(1);
    rig.until(|rig| rig.keys(1) == Some(1)).await;
    assert_eq!((rig.keys(0), server.hits(JWKS)), (None, 1));
}

#[tokio::test]
async fn the_answer_to_an_older_configuration_is_discarded() {
    let server = Server::plain().await;
    let gate = Arc::new(Semaphore::new(0));
    server.set("/old", Reply::ok(jwks(&[&jwk("a")])).gate(&gate));
    server.set("/new", Reply::ok(jwks(&[&jwk("a"), &jwk("b")])));
    let rig = Rig::new(vec![(named("https://as", &server, "/old"), material())]);
    server.until_hits("/old", 1).await;
    rig.reload(vec![(named("https://as", &server, "/new"), material())]).await;
    rig.until(|rig| rig.keys(0) == Some(2)).await;
    let generation = rig.generation(0);

    gate.add_permits(1);
    rig.refresh().await;
    rig.refresh().await;
    assert_eq!((rig.keys(0), rig.generation(0)), (Some(2), generation));
    assert_eq!(rig.counted(), ["ok"; 3]);
}

#[tokio::test]
async fn a_new_client_certificate_is_used_at_once_and_the_keys_stay_meanwhile() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let server = Server::tls(ca.server(Some(&clients), &[])).await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    let with = |identity| Arc::new(CallMaterial { roots: vec![ca.certificate()], identity });
    let rig = Rig::new(vec![(at(&server), with(Some(clients.issue(&["first"]))))]);
    rig.until(|rig| rig.keys(0) == Some(1)).await;
    let generation = rig.generation(0);

    rig.reload(vec![(at(&server), with(None))]).await;
    rig.until(|rig| rig.counted().contains(&"tls")).await;
    assert_eq!((rig.keys(0), rig.status().error.is_some()), (Some(1), true));

    rig.reload(vec![(at(&server), with(Some(clients.issue(&["second"]))))]).await;
    rig.until(|rig| rig.status().error.is_none()).await;
    assert_eq!(rig.generation(0), generation);
}

#[tokio::test]
async fn who_waits_for_an_issuer_that_goes_away_goes_on() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok("").gate(&Arc::new(Semaphore::new(0))));
    let rig = Rig::new(vec![(at(&server), material())]);
    server.until_hits(JWKS, 1).await;
    let (control, generation) = (rig.control.clone(), rig.generation(0));
    let begun = Instant::now();
    let waiting = tokio::spawn(async move { control.refresh_keys(0, generation).await });
    tokio::task::yield_now().await;
    rig.reload(vec![(issuer("https://b", file()), material())]).await;
    waiting.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
}
