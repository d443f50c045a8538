//! Before anything is measured: a system that lets through what it must refuse is not doing the work.

use anyhow::{Result, ensure};

use super::{Kind, Running};
use crate::client::{Ask, Connection, Lane as _, Protocol, Sessions, Tls};
use crate::stage::Stage;

/// Fails if a good request is not answered with 200, or one without a certificate, with a stolen, a forged or no token is.
pub(super) async fn verify(kind: Kind, running: &Running, stage: &Stage) -> Result<()> {
    let owner = Tls::new(&stage.pki, stage.client(), Protocol::Http1, Sessions::Never)?;
    let thief = Tls::new(&stage.pki, stage.other_client(), Protocol::Http1, Sessions::Never)?;
    let good = Some(stage.token.as_str());
    let status = async |tls: &Tls, token: Option<&str>| {
        Connection::open(tls, running.address).await?.ask(&Ask::get("/", token)?).await
    };

    ensure!(status(&owner, good).await? == 200, "a good request is refused");
    let anonymous = Tls::anonymous(&stage.pki)?;
    ensure!(!matches!(status(&anonymous, good).await, Ok(200)), "a client without a certificate is let in");
    if kind.checks_tokens() {
        let forged = stage.issuer.forged(stage.client())?;
        for (what, tls, token) in
            [("stolen", &thief, good), ("forged", &owner, Some(forged.as_str())), ("missing", &owner, None)]
        {
            let status = status(tls, token).await?;
            ensure!((400..500).contains(&status), "a {what} token is answered with {status}");
        }
        // A refusal must not have been the start of refusing everything.
        ensure!(status(&owner, good).await? == 200, "a good request is refused after bad ones");
    }
    Ok(())
}
