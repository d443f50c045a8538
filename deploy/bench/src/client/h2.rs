//! HTTP/2: one connection, several requests at a time.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use h2::client::SendRequest;

use super::{Ask, Lane, Tls};

const WINDOW: u32 = 1024 * 1024;

/// One request at a time of a connection that others use too.
#[derive(Clone)]
pub struct Streams {
    handle: SendRequest<Bytes>,
}

impl Streams {
    /// This many lanes on one new connection.
    pub async fn open(tls: &Tls, address: SocketAddr, lanes: usize) -> Result<Vec<Streams>> {
        let stream = tls.connect(address).await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (handle, connection) = builder.handshake(stream).await?;
        // Its end is also that of the requests on it, which say so.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(vec![Streams { handle: handle.ready().await? }; lanes])
    }
}

impl Lane for Streams {
    async fn ask(&mut self, ask: &Ask) -> Result<u16> {
        std::future::poll_fn(|context| self.handle.poll_ready(context)).await?;
        let (answer, _) = self.handle.send_request(ask.request.clone(), true)?;
        let answer = answer.await.context("an answer's head")?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        while let Some(data) = body.data().await {
            let length = data.context("an answer's body")?.len();
            body.flow_control().release_capacity(length)?;
        }
        Ok(status)
    }
}
