#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Instant, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::*;
use crate::config::settings::Level;

/// An output that keeps what it gets.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn objects(&self) -> Vec<Map<String, Value>> {
        self.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// An output whose every write says that it has begun, then waits for leave.
struct Gated {
    begun: Sender<()>,
    leave: Receiver<()>,
    kept: Kept,
}

impl Gated {
    fn new() -> (Gated, Receiver<()>, Sender<()>, Kept) {
        let (begun, has_begun) = channel();
        let (give_leave, leave) = channel();
        let kept = Kept::default();
        (Gated { begun, leave, kept: kept.clone() }, has_begun, give_leave, kept)
    }
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.begun.send(());
        // Once nobody can give leave any more, everything passes.
        let _ = self.leave.recv();
        self.kept.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sparse(reason: Option<Reason>) -> Decision {
    Decision {
        time: UNIX_EPOCH,
        request_id: *b"0123456789abcdef0123456789abcdef",
        trace_id: None,
        reason,
        note: None,
        peer: "192.0.2.1:50000".parse().unwrap(),
        issuer: None,
        subject: None,
        client_id: None,
        token_thumbprint: None,
        certificate_thumbprint: None,
        route: None,
        method: None,
        path: None,
        status: 0,
        cached: false,
        duration: Duration::ZERO,
        upstream_duration: None,
    }
}

fn full(reason: Option<Reason>) -> Decision {
    Decision {
        time: UNIX_EPOCH + Duration::from_micros(1_709_210_096_000_042),
        trace_id: Some([0x0a; 16]),
        note: Some("as configured".into()),
        issuer: Some("https://as.example.com".into()),
        subject: Some("alice".into()),
        client_id: Some("shop".into()),
        token_thumbprint: Some([0xab; 32]),
        certificate_thumbprint: Some([0xff; 32]),
        route: Some("/orders/*".into()),
        method: Some(Method::GET),
        path: Some("/orders/42".into()),
        status: 200,
        cached: true,
        duration: Duration::from_micros(1234),
        upstream_duration: Some(Duration::from_micros(900)),
        ..sparse(reason)
    }
}

/// What a log writes of these decisions.
fn written(format: LogFormat, level: Level, decisions: impl IntoIterator<Item = Decision>) -> Kept {
    let kept = Kept::default();
    let (log, guard) = start(format, Filter::new(level, None), kept.clone()).unwrap();
    let sink = log.sink();
    decisions.into_iter().for_each(|decision| sink.decision(decision));
    drop(guard);
    kept
}

#[test]
fn a_json_line_has_its_fields_in_a_stable_order() {
    let line = written(LogFormat::Json, Level::Info, [full(None)]).text();
    let expected = concat!(
        r#"{"time":"2024-02-29T12:34:56.000042Z","level":"info","event":"decision","#,
        r#""request_id":"0123456789abcdef0123456789abcdef","trace_id":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","#,
        r#""decision":"accepted","reason":null,"note":"as configured","issuer":"https://as.example.com","sub":"alice","#,
        r#""client_id":"shop","token_thumbprint":"abababababababababababababababababababababababababababababababab","#,
        r#""certificate_thumbprint":"__________________________________________8","route":"/orders/*","#,
        r#""method":"GET","path":"/orders/42","status":200,"peer":"192.0.2.1:50000","cached":true,"#,
        r#""duration_seconds":0.001234,"upstream_duration_seconds":0.000900}"#,
        "\n"
    );
    assert_eq!(line, expected);
}

#[test]
fn a_text_line_shows_the_decision_in_columns_and_the_rest_by_name() {
    let decisions = [full(None), sparse(Some(Reason::IntrospectionUnavailable))];
    let lines = written(LogFormat::Text, Level::Info, decisions).text();
    let expected = concat!(
        "2024-02-29T12:34:56.000042Z  INFO accepted -                         GET     /orders/42               ",
        "200 0.001234s 0123456789abcdef0123456789abcdef trace_id=0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a ",
        "note=\"as configured\" issuer=https://as.example.com sub=alice client_id=shop ",
        "token_thumbprint=abababababababababababababababababababababababababababababababab ",
        "certificate_thumbprint=__________________________________________8 route=/orders/* ",
        "peer=192.0.2.1:50000 cached=true upstream_duration=0.000900s\n",
        "1970-01-01T00:00:00.000000Z  INFO refused  introspection-unavailable -       -                        ",
        "-   0.000000s 0123456789abcdef0123456789abcdef peer=192.0.2.1:50000 cached=false\n",
    );
    assert_eq!(lines, expected);
}

#[test]
fn every_line_has_the_same_keys_and_one_of_three_decisions() {
    let reasons = || [None].into_iter().chain(Reason::ALL.iter().copied().map(Some));
    let decisions = reasons().flat_map(|reason| [sparse(reason), full(reason)]);
    let lines = written(LogFormat::Json, Level::Trace, decisions).objects();
    assert_eq!(lines.len(), 2 * (1 + Reason::ALL.len()));
    let keys = |line: &Map<String, Value>| line.keys().cloned().collect::<BTreeSet<_>>();
    for (line, reason) in lines.iter().zip(reasons().flat_map(|reason| [reason, reason])) {
        assert_eq!(keys(line), keys(&lines[0]));
        assert_eq!(line["reason"], reason.map_or(Value::Null, |reason| reason.name().into()));
        let (decision, level) = match reason {
            None => ("accepted", "info"),
            Some(Reason::UpstreamRefused | Reason::UpstreamFailed | Reason::UpstreamTimeout) => {
                ("failed", "warn")
            }
            Some(_) => ("refused", "info"),
        };
        assert_eq!((line["decision"].as_str(), line["level"].as_str()), (Some(decision), Some(level)));
    }
}

#[test]
fn what_a_client_sends_can_neither_end_nor_forge_a_line() {
    let hostile = "a\"}\n{\"event\":\"decision\"} \x1b[2J\u{9b}\u{202e}\r\0 status=200";
    let decision = || Decision {
        subject: Some(hostile.into()),
        client_id: Some(hostile.into()),
        path: Some(hostile.into()),
        note: Some(hostile.into()),
        ..full(Some(Reason::TokenExpired))
    };
    for format in [LogFormat::Json, LogFormat::Text] {
        let kept = written(format, Level::Info, [decision()]);
        let text = kept.text();
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(|char| char.is_control() || char == '\u{202e}'), "{line}");
        match format {
            LogFormat::Json => assert_eq!(kept.objects()[0]["sub"], hostile),
            LogFormat::Text => assert!(line.contains(r#" sub="a\"}\n{\"event"#), "{line}"),
        }
    }
}

#[test]
fn a_token_in_the_path_is_not_logged() {
    // RFC 9700 §4.9.3: no token in plain text in logs.
    let path = format!("/reset/{}/now", "eyJ0eXAiOiJhdCtqd3QifQ.".repeat(20));
    for format in [LogFormat::Json, LogFormat::Text] {
        let decision = Decision { path: Some(path.as_str().into()), ..full(None) };
        let text = written(format, Level::Info, [decision]).text();
        assert!(text.contains("/reset/…/now") && !text.contains("eyJ"), "{text}");
    }
}

#[test]
fn what_a_client_can_make_long_is_cut() {
    let decision = Decision {
        method: Some(Method::from_bytes(&[b'M'; 60_000]).unwrap()),
        path: Some("/a".repeat(30_000).into()),
        note: Some("n".repeat(60_000).into()),
        ..full(None)
    };
    let line = &written(LogFormat::Json, Level::Info, [decision]).objects()[0];
    assert_eq!(line["method"].as_str().unwrap(), "M".repeat(32));
    assert_eq!(["path", "note"].map(|key| line[key].as_str().unwrap().len()), [256, 512]);
}

#[test]
fn the_level_holds_for_decisions_too() {
    let decisions = || [None, Some(Reason::TokenExpired), Some(Reason::UpstreamTimeout)].map(sparse);
    for (level, lines) in [(Level::Error, 0), (Level::Warn, 1), (Level::Info, 3), (Level::Debug, 3)] {
        assert_eq!(written(LogFormat::Json, level, decisions()).objects().len(), lines, "{level:?}");
    }
}

#[test]
fn when_the_output_is_stuck_accepted_lines_are_dropped_first_and_all_are_counted() {
    let (out, begun, leave, kept) = Gated::new();
    let (log, guard) = start(LogFormat::Json, Filter::new(Level::Info, None), out).unwrap();
    let sink = log.sink();
    sink.decision(sparse(None));
    begun.recv().unwrap();

    // From here on nothing is taken from the lane.
    (0..4096 + 7).for_each(|_| sink.decision(sparse(None)));
    assert_eq!(log.dropped().get(), 7);
    (0..4096).for_each(|_| sink.decision(sparse(Some(Reason::TokenExpired))));
    assert_eq!(log.dropped().get(), 7, "the other half is for refusals");
    sink.decision(sparse(Some(Reason::TokenExpired)));
    sink.decision(sparse(Some(Reason::UpstreamFailed)));
    assert_eq!(log.dropped().get(), 9);

    drop(leave);
    drop(guard);
    let lines = kept.objects();
    let count = |decision| lines.iter().filter(|line| line["decision"] == decision).count();
    assert_eq!((count("accepted"), count("refused")), (1 + 4096, 4096));
}

#[test]
fn a_full_lane_costs_no_other_worker_a_line() {
    let (out, begun, leave, kept) = Gated::new();
    let (log, guard) = start(LogFormat::Json, Filter::new(Level::Info, None), out).unwrap();
    let (loud, quiet) = (log.sink(), log.sink());
    loud.decision(sparse(None));
    begun.recv().unwrap();
    (0..=4096).for_each(|_| loud.decision(sparse(None)));
    quiet.decision(full(None));
    drop(leave);
    drop(guard);
    assert_eq!(log.dropped().get(), 1);
    assert_eq!(kept.objects().iter().filter(|line| line["sub"] == "alice").count(), 1);
}

#[test]
fn many_workers_at_once_lose_nothing_and_mix_no_lines() {
    const WORKERS: u16 = 8;
    const EACH: u16 = 3000;
    let kept = Kept::default();
    let (log, guard) = start(LogFormat::Json, Filter::new(Level::Info, None), kept.clone()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let sink = log.sink();
            scope.spawn(move || {
                for number in 0..EACH {
                    sink.decision(Decision { status: number, ..sparse(None) });
                }
            });
        }
    });
    drop(guard);
    let mut seen = vec![0u16; usize::from(EACH)];
    for line in kept.objects() {
        seen[usize::try_from(line["status"].as_u64().unwrap_or_default()).unwrap()] += 1;
    }
    assert_eq!(seen, vec![WORKERS; usize::from(EACH)]);
    assert_eq!(log.dropped().get(), 0);
}

#[test]
fn a_line_is_written_soon_and_without_a_close() {
    let (out, begun, leave, kept) = Gated::new();
    let (log, guard) = start(LogFormat::Json, Filter::new(Level::Info, None), out).unwrap();
    drop(leave);
    let sink = log.sink();
    for _ in 0..3 {
        sink.decision(sparse(None));
        begun.recv_timeout(Duration::from_secs(10)).expect("the log thread finds or is woken by the line");
    }
    drop(guard);
    assert_eq!(kept.objects().len(), 3);
}

#[test]
fn a_reader_that_is_gone_costs_lines_and_nothing_else() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let (log, guard) = start(LogFormat::Json, Filter::new(Level::Info, None), writer).unwrap();
    let sink = log.sink();
    (0..5).for_each(|_| sink.decision(sparse(None)));
    drop(guard);
    assert_eq!(log.dropped().get(), 5);
}

#[test]
fn an_output_that_is_not_ready_gets_every_byte_in_the_end() {
    /// Takes seven bytes at a time and is never ready twice in a row.
    struct Sluggish(Kept, bool);
    impl Write for Sluggish {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.0.write(&bytes[..bytes.len().min(7)])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let out = Sluggish(kept.clone(), false);
    let (log, guard) = start(LogFormat::Json, Filter::new(Level::Info, None), out).unwrap();
    log.sink().decision(sparse(None));
    drop(guard);
    assert_eq!((kept.objects().len(), log.dropped().get()), (1, 0));
}

#[test]
fn an_output_that_nobody_reads_does_not_hold_up_the_end() {
    let (out, begun, _leave, _) = Gated::new();
    let (log, guard) = start(LogFormat::Json, Filter::new(Level::Info, None), out).unwrap();
    log.sink().decision(sparse(None));
    begun.recv().unwrap();
    let start = Instant::now();
    drop(guard);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn events_are_lines_of_the_same_log_in_both_formats() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let kept = Kept::default();
        let (log, guard) = start(format, Filter::new(Level::Info, None), kept.clone()).unwrap();
        tracing::subscriber::with_default(log.subscriber(), || {
            let error = io::Error::other("line 1\nline 2");
            tracing::warn!(file = "a.pem", times = 2, ok = false, share = 0.5, %error, "not {}", "reloaded");
            tracing::debug!("below the level");
            tracing::error!(target: "hyper", "not ours");
        });
        drop(guard);
        let text = kept.text();
        let (time, rest) = text.split_at(if format == LogFormat::Json { 37 } else { 27 });
        assert!(time.contains('T') && time.contains('Z'), "{text}");
        let expected = match format {
            LogFormat::Json => concat!(
                r#","level":"warn","event":"not reloaded","target":"boundgate::log::tests","file":"a.pem","#,
                r#""times":2,"ok":false,"share":0.5,"error":"line 1\nline 2"}"#,
                "\n"
            ),
            LogFormat::Text => {
                "  WARN not reloaded file=a.pem times=2 ok=false share=0.5 error=\"line 1\\nline 2\"\n"
            }
        };
        assert_eq!(rest, expected);
    }
}

#[test]
fn events_are_bounded_in_number_and_length() {
    let (out, begun, leave, kept) = Gated::new();
    let (log, guard) = start(LogFormat::Json, Filter::new(Level::Info, None), out).unwrap();
    tracing::subscriber::with_default(log.subscriber(), || {
        tracing::info!("first");
        begun.recv().unwrap();
        for _ in 0..queue::EVENTS + 3 {
            tracing::info!(long = "x".repeat(100_000), "more");
        }
    });
    assert_eq!(log.dropped().get(), 3);
    drop(leave);
    drop(guard);
    assert!(kept.text().lines().all(|line| line.len() < 3000));
    assert_eq!(kept.objects().len(), 1 + queue::EVENTS);
}
