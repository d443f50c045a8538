use super::*;

impl Rig {
    /// Lets the next look at the files find these issuers, and looks.
    async fn reload(&self, issuers: Vec<Issuer>) {
        self.will_find(issuers);
        self.control.reload().await;
        self.until(|rig| rig.found.lock().unwrap().is_none()).await;
    }

    fn will_find(&self, issuers: Vec<Issuer>) {
        *self.found.lock().unwrap() = Some(self.folder.load_with(issuers, Some(&self.shared.load())));
    }
}

#[tokio::test]
async fn files_are_looked_at_every_few_seconds_too() {
    let server = Server::plain().await;
    let rig = Rig::new(Folder::new(), vec![at(&server)]);
    rig.will_find(vec![rig.folder.issuer("https://b")]);
    rig.until(|rig| rig.found.lock().unwrap().is_none()).await;
    assert_eq!(&*rig.shared.load().issuers[0].name, "https://b");
}

#[tokio::test]
async fn an_issuer_that_stays_keeps_its_keys_without_a_call() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    server.set("/b", Reply::ok(jwks(&[&jwk("a"), &jwk("b")])));
    let (a, b) = (at(&server), named("https://b", &server, "/b"));
    let rig = Rig::new(Folder::new(), vec![a.clone()]);
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
    let a = at(&server);
    let rig = Rig::new(Folder::new(), vec![a.clone()]);
    server.until_hits(JWKS, 1).await;
    rig.reload(vec![rig.folder.issuer("https://b"), a]).await;
    gate.add_permits(1);
    rig.until(|rig| rig.keys(1) == Some(1)).await;
    assert_eq!(server.hits(JWKS), 1);
}

#[tokio::test]
async fn the_answer_to_an_older_configuration_is_discarded() {
    let server = Server::plain().await;
    let gate = Arc::new(Semaphore::new(0));
    server.set("/old", Reply::ok(jwks(&[&jwk("a")])).gate(&gate));
    server.set("/new", Reply::ok(jwks(&[&jwk("a"), &jwk("b")])));
    let rig = Rig::new(Folder::new(), vec![named("https://as", &server, "/old")]);
    server.until_hits("/old", 1).await;
    rig.reload(vec![named("https://as", &server, "/new")]).await;
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
    let (ca, clients) = (Authority::root("servers"), Authority::root("clients"));
    let server = Server::tls(server_tls(&ca, Some(&clients), &[])).await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    let folder = Folder::new();
    let first = folder.with_tls(at(&server), &ca, Some(&loopback(&clients)));
    let rig = Rig::new(folder, vec![first]);
    rig.until(|rig| rig.keys(0) == Some(1)).await;
    let generation = rig.generation(0);

    let without = rig.folder.with_tls(at(&server), &ca, None);
    rig.reload(vec![without]).await;
    rig.until(|rig| rig.counted().contains(&"tls")).await;
    assert_eq!((rig.keys(0), rig.status().error.is_some()), (Some(1), true));

    let second = rig.folder.with_tls(at(&server), &ca, Some(&loopback(&clients)));
    rig.reload(vec![second]).await;
    rig.until(|rig| rig.status().error.is_none()).await;
    assert_eq!(rig.generation(0), generation);
}

#[tokio::test]
async fn who_waits_for_an_issuer_that_goes_away_goes_on() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok("").gate(&Arc::new(Semaphore::new(0))));
    let rig = Rig::new(Folder::new(), vec![at(&server)]);
    server.until_hits(JWKS, 1).await;
    let (control, generation) = (rig.control.clone(), rig.generation(0));
    let begun = Instant::now();
    let waiting = tokio::spawn(async move { control.refresh_keys(0, generation).await });
    tokio::task::yield_now().await;
    rig.reload(vec![rig.folder.issuer("https://b")]).await;
    waiting.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
}
