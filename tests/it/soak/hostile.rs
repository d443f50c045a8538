//! Clients who do what they should not, each a thread that begins again whenever it is cut off.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use serde_json::json;

use super::stage::Stage;
use crate::support::client::Connection;
use crate::support::frames::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, Raw, block};
use crate::support::issuer::now;

/// Between two turns of one attacker.
const PAUSE: Duration = Duration::from_millis(500);
/// For an answer that an attacker waits for.
const WAIT: Duration = Duration::from_secs(15);

/// An attack that fails for the attacker, in whatever way, has come out as it should.
type Turn = fn(&Stage) -> io::Result<()>;

const ATTACKS: [(&str, Turn); 12] = [
    ("slow heads (20 at a time)", slow_heads),
    ("slow handshakes (20 at a time)", slow_handshakes),
    ("garbage in the place of TLS", garbage),
    ("rapid resets (1000 streams)", rapid_resets),
    ("floods of CONTINUATION", continuations),
    ("floods of PING (10,000)", pings),
    ("bad tokens", bad_tokens),
    ("random opaque tokens", opaque_tokens),
    ("oversized heads", large_heads),
    ("aborted uploads", aborted_uploads),
    ("answers that nobody reads", slow_readers),
    ("connections for nothing", churn),
];

pub(super) fn start<'s>(scope: &'s Scope<'s, '_>, stage: &'s Stage) -> Vec<ScopedJoinHandle<'s, ()>> {
    let attack = |(name, turn): (&'static str, Turn)| {
        scope.spawn(move || {
            give_way();
            while !stage.stopped() {
                let _ = turn(stage); // being cut off is what it asked for
                stage.tally.count(&format!("hostile: {name}"));
                thread::sleep(PAUSE);
            }
        })
    };
    ATTACKS.into_iter().map(attack).collect()
}

/// Attackers have machines of their own: here they must not take the processor from the good clients, whose time is measured.
fn give_way() {
    let thread = std::fs::read_link("/proc/thread-self").expect("Linux");
    let id = thread.file_name().expect("the thread's id");
    let _ = Command::new("renice").args(["-n", "19", "-p"]).arg(id).stdout(Stdio::null()).status();
}

/// Connections that have had one answer and ask for nothing more.
pub(super) fn hold_idle(stage: &Stage, number: usize) -> Vec<Connection> {
    let held = Mutex::new(Vec::with_capacity(number));
    let client = stage.client();
    thread::scope(|scope| {
        for part in 0..4 {
            let (held, client) = (&held, &client);
            scope.spawn(move || {
                for _ in 0..number / 4 + usize::from(part < number % 4) {
                    let mut connection = client.connect(stage.address()).expect("an idle client is let in");
                    let answer = connection.get("/public/", None).expect("an answer");
                    assert_eq!(answer.status(), 200, "{answer:?}");
                    held.lock().unwrap().push(connection);
                }
            });
        }
    });
    held.into_inner().unwrap()
}

/// Asks each of them once more, and tells how many do not answer.
pub(super) fn still_open(held: Vec<Connection>) -> usize {
    let answers = |mut connection: Connection| {
        connection.get("/public/", None).is_ok_and(|answer| answer.status() == 200)
    };
    held.into_iter().map(answers).filter(|answers| !answers).count()
}

fn slow_heads(stage: &Stage) -> io::Result<()> {
    let connections = (0..20).map(|_| stage.client().connect(stage.address()));
    let mut connections = connections.collect::<io::Result<Vec<_>>>()?;
    for letter in "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaaaaaaaaa".bytes() {
        for connection in &mut connections {
            connection.send([letter])?;
        }
        thread::sleep(PAUSE / 2); // that is the attack
    }
    Ok(())
}

fn slow_handshakes(stage: &Stage) -> io::Result<()> {
    let sockets = (0..20).map(|_| TcpStream::connect(stage.address())).collect::<io::Result<Vec<_>>>()?;
    for mut socket in sockets {
        socket.write_all(&[22, 3, 1])?; // the beginning of a record
        socket.set_read_timeout(Some(WAIT))?;
        if socket.read(&mut [0])? != 0 {
            stage.tally.fault("an answer to a part of a handshake");
        }
    }
    Ok(())
}

fn garbage(stage: &Stage) -> io::Result<()> {
    for text in
        ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\0\0\0", "SSH-2.0-x\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}"]
    {
        let mut socket = TcpStream::connect(stage.address())?;
        socket.set_read_timeout(Some(WAIT))?;
        socket.write_all(text.as_bytes())?;
        let _ = socket.read_to_end(&mut Vec::new());
    }
    Ok(())
}

fn rapid_resets(stage: &Stage) -> io::Result<()> {
    let mut raw = Raw::connect(&stage.stranger(), stage.address(), &[]);
    let block = block("GET", "x");
    for stream in (1..2_000).step_by(2) {
        raw.send(HEADERS, END_STREAM | END_HEADERS, stream, &block)?;
        raw.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes())?;
    }
    Ok(())
}

fn continuations(stage: &Stage) -> io::Result<()> {
    let mut raw = Raw::connect(&stage.stranger(), stage.address(), &[]);
    raw.send(HEADERS, END_STREAM, 1, &block("GET", "x"))?;
    for _ in 0..10_000 {
        raw.send(CONTINUATION, 0, 1, &[0x40; 64])?;
    }
    ends(stage, &mut raw, "10,000 CONTINUATION frames")
}

/// The connection does not go on after this.
fn ends(stage: &Stage, raw: &mut Raw, what: &str) -> io::Result<()> {
    raw.0.stream.get_ref().sock.set_read_timeout(Some(WAIT))?;
    loop {
        match raw.read() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stage.tally.fault(format!("{what} were taken"));
                return Ok(());
            }
            frame => drop(frame?),
        }
    }
}

fn pings(stage: &Stage) -> io::Result<()> {
    let mut raw = Raw::connect(&stage.stranger(), stage.address(), &[]);
    for _ in 0..10_000 {
        raw.send(PING, 0, 0, &[0; 8])?;
    }
    Ok(())
}

/// None of them passes, and each is told so.
fn bad_tokens(stage: &Stage) -> io::Result<()> {
    let (owner, stranger) = (&stage.world.pki.client_a, &stage.world.pki.client_b);
    let good = stage.token();
    let (expired, other) = {
        let issuer = stage.issuer.lock().unwrap();
        let (mut expired, mut other) = (issuer.claims(stranger), issuer.claims(stranger));
        (expired["exp"], other["iss"]) = (json!(now() - 600), json!("https://elsewhere.example"));
        (issuer.mint(&expired), issuer.mint(&other))
    };
    let forged = stage.world.issuer.token(stranger); // by a key that was never published
    let cut = good.split_at(good.len() - 8).0.to_owned();
    assert_ne!(owner.thumbprint(), stranger.thumbprint());
    let mut connection = stage.stranger().connect(stage.address())?;
    for (what, token) in
        [("stolen", good), ("expired", expired), ("foreign", other), ("forged", forged), ("cut", cut)]
    {
        let answer = connection.get("/get", Some(&token))?;
        if answer.status() != 401 {
            stage.tally.fault(format!("a {what} token: {:?}", answer.verdict()));
        }
        stage.tally.count("hostile: tokens refused");
    }
    Ok(())
}

fn opaque_tokens(stage: &Stage) -> io::Result<()> {
    let mut connection = stage.stranger().connect(stage.address())?;
    for _ in 0..50 {
        let answer = connection.get("/opaque", Some(&format!("random-{}", stage.tally.next())))?;
        if !matches!(answer.status(), 401 | 503) {
            stage.tally.fault(format!("a random token: {:?}", answer.verdict()));
        }
    }
    Ok(())
}

fn large_heads(stage: &Stage) -> io::Result<()> {
    let lines = format!("X-Large: {}\r\n", "a".repeat(60_000)).repeat(4);
    let answer =
        stage.stranger().connect(stage.address())?.exchange(format!("GET / HTTP/1.1\r\n{lines}\r\n"))?;
    if answer.status() != 431 {
        stage.tally.fault(format!("a head of 240,000 bytes: {}", answer.start));
    }
    Ok(())
}

fn aborted_uploads(stage: &Stage) -> io::Result<()> {
    for _ in 0..10 {
        let mut connection = stage.connect();
        let token = stage.token();
        let head = format!("POST /post HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n");
        connection.send(head + "Content-Length: 10000000\r\n\r\nsome of it")?;
        thread::sleep(PAUSE / 50); // for the API to see some of it
    }
    Ok(())
}

fn slow_readers(stage: &Stage) -> io::Result<()> {
    let token = stage.token();
    let ask = |_| {
        let mut connection = stage.client().connect(stage.address())?;
        let head = format!("GET /big HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        connection.send(head).map(|()| connection)
    };
    let unread = (0..20).map(ask).collect::<io::Result<Vec<_>>>()?;
    thread::sleep(8 * Duration::from_secs(1)); // longer than stall_timeout
    drop(unread);
    Ok(())
}

fn churn(stage: &Stage) -> io::Result<()> {
    for _ in 0..5 {
        drop(stage.world.client(None).connect(stage.address())); // without a certificate
        drop(stage.stranger().connect(stage.address())?); // a full handshake: another client each time
    }
    Ok(())
}
