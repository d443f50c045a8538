//! What the machine has to say: modes of files, limits of the process, names of the server's certificate.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use http::Uri;
use rustls_pki_types::ServerName;
use webpki::EndEntityCert;

use crate::config::settings::{Introspection, Listener, Settings};
use crate::state::files::Files;
use crate::state::load;

/// Bits of a file's mode by which somebody besides its owner can change it.
const OTHERS_WRITE: u32 = 0o022;
/// The bit by which everybody can read it. The group is left out: a container gets its secrets by way of a group.
const EVERYBODY_READS: u32 = 0o004;

pub(super) fn advice(settings: &Settings) -> Vec<String> {
    let mut advice = writable(settings);
    advice.extend(readable(settings));
    advice.extend(other_name(settings));
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    advice.extend(open_files(&limits).and_then(|limit| too_few_files(limit, settings.limits.connections)));
    advice
}

fn writable(settings: &Settings) -> Vec<String> {
    let files = load::files(settings);
    let found = with_mode(files.iter(), OTHERS_WRITE);
    found.map(|file| format!("{file}: others than its owner can write to it")).collect()
}

fn readable(settings: &Settings) -> Vec<String> {
    let calls = settings.issuers.iter().filter_map(|issuer| issuer.tls.as_ref());
    let keys = calls.map(|tls| &tls.private_key).chain([&settings.listener.private_key]);
    let introspections = settings.issuers.iter().filter_map(|issuer| issuer.introspection.as_ref());
    let of_clients = introspections.filter_map(Introspection::file);
    let said =
        |what: &'static str| move |file| format!("{file}: everybody on this host can read this {what}");
    let keys = with_mode(keys.map(|file| &file.value), EVERYBODY_READS).map(said("private key"));
    let of_clients = with_mode(of_clients.map(|file| &file.value), EVERYBODY_READS);
    keys.chain(of_clients.map(said("client's secret or key"))).collect()
}

/// Those files of which the mode has one of these bits, each once and with its mode.
fn with_mode<'a>(files: impl Iterator<Item = &'a PathBuf>, bits: u32) -> impl Iterator<Item = String> {
    let files: BTreeSet<&PathBuf> = files.collect();
    files.into_iter().filter_map(move |file| {
        let mode = fs::metadata(file).ok()?.permissions().mode() & 0o7777;
        (mode & bits != 0).then(|| format!("{} (mode {mode:04o})", file.display()))
    })
}

/// The server's certificate is not for the host that clients are told to call (RFC 9525 §6).
fn other_name(settings: &Settings) -> Option<String> {
    let Listener { certificate, public_url, .. } = &settings.listener;
    let url: Uri = public_url.as_ref()?.parse().ok()?;
    let host = url.host()?.trim_matches(['[', ']']);
    // The file was read a moment ago; what it says now is good enough for advice.
    let chain = Files::new(&settings.file).certificates(certificate)?;
    let leaf = EndEntityCert::try_from(chain.first()?).ok()?;
    let name = ServerName::try_from(host).ok()?;
    let file = certificate.value.display();
    leaf.verify_is_valid_for_subject_name(&name).err().map(|_| {
        format!("listener.public_url: {file} is not a certificate for \"{host}\": clients that verify it do not connect")
    })
}

/// The hard limit of open files, to which `boundgate run` raises its own; `None` where there is none.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A connection of a client, and one to the upstream for it.
fn too_few_files(limit: usize, connections: usize) -> Option<String> {
    let needed = connections.saturating_mul(2);
    (limit < needed).then(|| {
        format!(
            "limits.connections: {connections} connections need {needed} file descriptors, one towards the client and one \
             towards the upstream each, and a process started here may open {limit}: raise that (ulimit -Hn, LimitNOFILE=) \
             or lower this"
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_hard_limit_counts() {
        let limits = |hard: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max processes             7                    7                    processes\n\
                 Max open files            256                  {hard:<20} files\n"
            )
        };
        assert_eq!(open_files(&limits("1024")), Some(1024));
        assert_eq!(open_files(&limits("unlimited")), None);
        assert_eq!(open_files(""), None);
        assert!(open_files(&fs::read_to_string("/proc/self/limits").unwrap()).is_some());
    }

    #[test]
    fn two_descriptors_a_connection_are_enough() {
        assert_eq!(too_few_files(2000, 1000), None);
        let advice = too_few_files(1999, 1000).unwrap();
        assert!(advice.contains("2000") && advice.contains("1999"), "{advice}");
        assert!(too_few_files(usize::MAX - 1, usize::MAX).is_some());
    }
}
