//! One figure of one system under one load.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::client::{Ask, Connection, Fresh, Lane, Protocol, Sessions, Streams, Tls};
use crate::cores::Core;
use crate::load::{Course, closed, open, succeed};
use crate::stage::Stage;
use crate::system::{How, Kind, Running, Workers};
use crate::upstream::OPAQUE;

/// What is asked of a system, and what is measured of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// CPU per request on kept connections, tokens by turns.
    Hot { tokens: usize },
    /// CPU per request, 4 connections with 8 streams each.
    Http2,
    /// CPU per request, no token seen before.
    Cold,
    /// CPU per request, an opaque token that was introspected before.
    Opaque,
    /// CPU per connection with one request.
    Handshake { sessions: Sessions },
    /// The 99th percentile at a fixed rate.
    Latency,
    /// The same without a system in between.
    LatencyDirect,
    /// CPU per MiB.
    Download { bytes: usize },
    /// CPU per MiB.
    Upload { bytes: usize },
    /// Memory before any load.
    Rest,
    /// Memory that each further connection holds.
    Idle { protocol: Protocol },
    /// CPU per request with so many workers.
    Workers(u32),
    /// The larger share of CPU among two workers, 1 being equal.
    Spread,
    /// CPU per request on 100 connections beside these idle ones.
    Many { idle: usize },
    /// From the start of the process to the first answer.
    Start,
}

/// How long and how much.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Of a measured window.
    pub time: Duration,
    /// Connections whose memory is measured.
    pub idle: usize,
    /// So long idle connections are left alone before that: what lets go of its buffers has done so then.
    pub settled: Duration,
    /// No more than so many idle connections beside active ones.
    pub most_idle: usize,
}

const LANES: usize = 32;
const HANDSHAKES: usize = 8;
const ACTIVE: usize = 100;
/// Requests a second.
const RATE: u32 = 2_000;
/// More tokens a second than any system verifies on one processor.
const COLD_RATE: f64 = 20_000.0;
/// How coarse the clock's ticks are.
const TICKS: Duration = Duration::from_millis(50);
const MIB: f64 = 1024.0 * 1024.0;

/// Measures, and keeps what takes long to make.
pub struct Bench {
    pub stage: Stage,
    pub effort: Effort,
    many: OnceCell<Asks>,
    new: OnceCell<Asks>,
}

impl Bench {
    pub fn new(stage: Stage, effort: Effort) -> Bench {
        Bench { stage, effort, many: OnceCell::new(), new: OnceCell::new() }
    }

    /// One figure, of a process of its own.
    pub async fn measure(&self, kind: Kind, load: Load) -> Result<f64> {
        if load == Load::LatencyDirect {
            return self.latency_direct().await;
        }
        let running = kind.start(&self.stage, &how(load)).await?;
        match load {
            Load::Hot { tokens: 1 } | Load::Workers(_) => self.kept(&running, LANES, &self.one()?).await,
            Load::Hot { tokens } => self.kept(&running, LANES, &self.tokens(&self.many, tokens)?).await,
            Load::Opaque => self.kept(&running, LANES, &[get(OPAQUE)?].into()).await,
            Load::Http2 => self.http2(&running).await,
            Load::Cold => self.cold(&running).await,
            Load::Handshake { sessions } => self.handshakes(&running, sessions).await,
            Load::Latency => self.latency(self.lanes(&running, LANES).await?).await,
            Load::LatencyDirect => self.latency_direct().await,
            Load::Download { bytes } => {
                let ask = Ask::get(&format!("/bytes/{bytes}"), Some(&self.stage.token))?;
                self.bodies(&running, ask, bytes).await
            }
            Load::Upload { bytes } => {
                self.bodies(&running, Ask::post("/sink", Some(&self.stage.token), bytes)?, bytes).await
            }
            Load::Rest => Ok(running.process.memory()? as f64 / MIB),
            Load::Idle { protocol } => self.idle(&running, protocol).await,
            Load::Spread => self.spread(&running).await,
            Load::Many { idle } => {
                let _waiting = self.used(&running, idle.min(self.effort.most_idle)).await?;
                self.kept(&running, ACTIVE, &self.one()?).await
            }
            Load::Start => Ok(running.start_time.as_secs_f64() * 1e3),
        }
    }

    async fn kept(&self, running: &Running, lanes: usize, asks: &Asks) -> Result<f64> {
        let mut lanes = self.lanes(running, lanes).await?;
        if asks.len() > 1 {
            closed(&mut lanes, Course::times(asks, asks.len())).await?;
        }
        self.warm(&mut lanes, asks).await?;
        self.cpu(running, &mut lanes, Course::lasting(asks, self.effort.time)).await
    }

    async fn http2(&self, running: &Running) -> Result<f64> {
        let (tls, asks) = (self.tls(Protocol::Http2, Sessions::Never)?, self.one()?);
        let mut lanes = Vec::new();
        for _ in 0..4 {
            lanes.extend(Streams::open(&tls, running.address, 8).await?);
        }
        self.warm(&mut lanes, &asks).await?;
        self.cpu(running, &mut lanes, Course::lasting(&asks, self.effort.time)).await
    }

    async fn cold(&self, running: &Running) -> Result<f64> {
        let number = (COLD_RATE * self.effort.time.as_secs_f64()) as usize;
        let asks = self.tokens(&self.new, number)?;
        let mut lanes = self.lanes(running, LANES).await?;
        self.warm(&mut lanes, &self.one()?).await?;
        self.cpu(running, &mut lanes, Course::once(&asks, self.effort.time)).await
    }

    async fn handshakes(&self, running: &Running, sessions: Sessions) -> Result<f64> {
        let asks = self.one()?;
        let mut lanes = Vec::new();
        for _ in 0..HANDSHAKES {
            let tls = self.tls(Protocol::Http1, sessions)?;
            lanes.push(Fresh::new(tls, running.address, sessions, &asks[0]).await?);
        }
        self.warm(&mut lanes, &asks).await?;
        self.cpu(running, &mut lanes, Course::lasting(&asks, self.effort.time)).await
    }

    async fn bodies(&self, running: &Running, ask: Ask, bytes: usize) -> Result<f64> {
        let tls = self.tls(Protocol::Http1, Sessions::Never)?;
        let mut lanes = Connection::open_many(&tls, running.unbuffered, 4).await?;
        let asks = [ask].into();
        self.warm(&mut lanes, &asks).await?;
        let request = self.cpu(running, &mut lanes, Course::lasting(&asks, self.effort.time)).await?;
        Ok(request / (bytes as f64 / MIB))
    }

    async fn latency<L: Lane>(&self, mut lanes: Vec<L>) -> Result<f64> {
        let asks = self.one()?;
        self.warm(&mut lanes, &asks).await?;
        let latencies = open(lanes, asks, RATE, self.effort.time).await?;
        Ok(latencies.value_at_quantile(0.99) as f64 / 1e3)
    }

    async fn latency_direct(&self) -> Result<f64> {
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            lanes.push(Connection::open_plain(self.stage.upstream).await?);
        }
        self.latency(lanes).await
    }

    /// KiB for each connection.
    async fn idle(&self, running: &Running, protocol: Protocol) -> Result<f64> {
        let before = running.process.memory()?;
        let (_http1, _http2);
        match protocol {
            Protocol::Http1 => _http1 = self.used(running, self.effort.idle).await?,
            Protocol::Http2 => _http2 = self.used_http2(running, self.effort.idle).await?,
        }
        tokio::time::sleep(self.effort.settled).await;
        let after = running.process.memory()?;
        Ok((after as f64 - before as f64) / 1024.0 / self.effort.idle as f64)
    }

    async fn spread(&self, running: &Running) -> Result<f64> {
        let (mut lanes, asks) = (self.lanes(running, ACTIVE).await?, self.one()?);
        let workers = || {
            let threads = running.process.threads()?.into_iter();
            let workers = threads.filter(|thread| thread.name.starts_with("worker-"));
            Ok::<_, anyhow::Error>(workers.map(|thread| thread.cpu.as_secs_f64()).collect::<Vec<_>>())
        };
        let before = workers()?;
        closed(&mut lanes, Course::lasting(&asks, self.effort.time)).await?;
        let spent: Vec<f64> = workers()?.iter().zip(before).map(|(after, before)| after - before).collect();
        ensure!(spent.len() == 2, "{} workers", spent.len());
        Ok(spent.iter().copied().fold(0.0, f64::max) * 2.0 / spent.iter().sum::<f64>())
    }

    /// Connections that have each carried one request, one after the other.
    async fn used(&self, running: &Running, number: usize) -> Result<Vec<impl Lane + use<>>> {
        let (tls, ask) = (self.tls(Protocol::Http1, Sessions::Never)?, get(&self.stage.token)?);
        let mut lanes = Vec::with_capacity(number);
        for _ in 0..number {
            let mut lane = Connection::open(&tls, running.address).await?;
            succeed(&mut lane, &ask).await?;
            lanes.push(lane);
        }
        Ok(lanes)
    }

    async fn used_http2(&self, running: &Running, number: usize) -> Result<Vec<impl Lane + use<>>> {
        let (tls, ask) = (self.tls(Protocol::Http2, Sessions::Never)?, get(&self.stage.token)?);
        let mut lanes = Vec::with_capacity(number);
        for _ in 0..number {
            for mut lane in Streams::open(&tls, running.address, 1).await? {
                succeed(&mut lane, &ask).await?;
                lanes.push(lane);
            }
        }
        Ok(lanes)
    }

    async fn lanes(&self, running: &Running, number: usize) -> Result<Vec<impl Lane + use<>>> {
        let tls = self.tls(Protocol::Http1, Sessions::Never)?;
        Connection::open_many(&tls, running.address, number).await
    }

    fn tls(&self, protocol: Protocol, sessions: Sessions) -> Result<Tls> {
        Tls::new(&self.stage.pki, self.stage.client(), protocol, sessions)
    }

    async fn warm<L: Lane>(&self, lanes: &mut Vec<L>, asks: &Asks) -> Result<()> {
        closed(lanes, Course::lasting(asks, self.effort.time / 4)).await?;
        Ok(())
    }

    /// Microseconds on the processor for each request.
    async fn cpu<L: Lane>(&self, running: &Running, lanes: &mut Vec<L>, course: Course) -> Result<f64> {
        let clocks = || Ok::<_, anyhow::Error>((running.process.cpu()?, running.process.cpu_in_ticks()?));
        let before = clocks()?;
        let requests = closed(lanes, course).await?;
        let after = clocks()?;
        let (spent, ticks) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
        ensure!(
            ticks.saturating_sub(spent) < spent / 4 + TICKS,
            "{ticks:?} by the clock's ticks and {spent:?} by the scheduler: threads have ended in between"
        );
        Ok(spent.as_secs_f64() * 1e6 / requests as f64)
    }

    /// One request with one token.
    fn one(&self) -> Result<Asks> {
        Ok([get(&self.stage.token)?].into())
    }

    /// Requests with this many tokens, made the first time.
    fn tokens(&self, made: &OnceCell<Asks>, number: usize) -> Result<Asks> {
        if made.get().is_none() {
            let _ = made.set(self.asks(number)?); // it was empty
        }
        made.get().cloned().context("no tokens")
    }

    fn asks(&self, tokens: usize) -> Result<Asks> {
        (0..tokens).map(|_| get(&self.stage.issuer.token(self.stage.client())?)).collect()
    }
}

type Asks = Rc<[Ask]>;

fn get(token: &str) -> Result<Ask> {
    Ask::get("/hello", Some(token))
}

/// Whose processors and how many workers.
fn how(load: Load) -> How {
    match load {
        Load::Workers(workers) => {
            How { core: Core::Both, workers: Workers::Number(workers), ..How::default() }
        }
        Load::Spread => How { core: Core::Both, workers: Workers::Number(2), ..How::default() },
        _ => How::default(),
    }
}
