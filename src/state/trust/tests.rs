#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Real handshakes of TLS 1.2 and 1.3, and beside each the verdict of [`Trust::admit`], which must be the same.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SigningKey};
use rustls::CertificateError as Fault;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ServerConfig};
use rustls_pki_types::CertificateRevocationListDer;

use super::ca::{Crl, anchor};
use super::*;
use crate::state::pki::{Authority, DAY, Holder, client, from_now, handshake, validity};
use crate::state::tls;

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// How a handshake and [`Trust::admit`] ended.
type Verdict = Result<Admitted, Fault>;

/// A server, whose own certificate is beside the point.
struct Bench {
    authority: Authority,
    identity: Holder,
}

impl Bench {
    fn new() -> Bench {
        let authority = Authority::root("server CA");
        Bench { identity: authority.certify(1, |_| ()), authority }
    }

    fn server(&self, trust: &Arc<Trust>, before: Option<&ServerConfig>) -> Arc<ServerConfig> {
        let key = tls::provider().key_provider.load_private_key(self.identity.key_der()).unwrap();
        let identity = rustls::sign::CertifiedKey::new(self.identity.chain.clone(), key);
        let tickets = before.map(|config| Arc::clone(&config.ticketer));
        Arc::new(tls::server_config(identity, trust, tickets).unwrap())
    }

    /// Shakes hands in both versions.
    fn judge(&self, trust: &Arc<Trust>, holder: Option<&Holder>) -> Verdict {
        let server = self.server(trust, None);
        let chain = holder.map_or(&[][..], |holder| &holder.chain);
        let admitted = trust.admit(chain, from_now(0));
        for version in VERSIONS {
            match handshake(&Arc::new(client(&self.authority, holder, &[version])), &server) {
                Ok((_, connection)) => {
                    assert_eq!(connection.peer_certificates().unwrap_or_default(), chain);
                    assert!(admitted.is_ok(), "{admitted:?}");
                }
                Err(rustls::Error::NoCertificatesPresented) => {
                    assert_eq!(
                        (trust.mode(), holder.is_none(), admitted.is_err()),
                        (Mode::Required, true, true)
                    );
                }
                Err(rustls::Error::InvalidCertificate(fault)) => {
                    assert!(admitted.is_err(), "{admitted:?}");
                    if version == &TLS13 {
                        return Err(fault);
                    }
                }
                Err(other) => panic!("{other}"),
            }
        }
        admitted.map_err(|NotAdmitted(text)| Fault::Other(rustls::OtherError(Arc::from(Box::from(text)))))
    }
}

fn trust(mode: Mode, rule: Rule) -> Arc<Trust> {
    Arc::new(Trust::new(mode, rule, [0; 32], Vec::new()))
}

fn ca(mode: Mode, root: &Authority) -> Arc<Trust> {
    trust(mode, Rule::Ca(Ca::new(vec![anchor(root.der()).unwrap()], Vec::new(), false, false)))
}

/// Anchors and CRLs, with `crl_depth = "leaf"` and `crl_expired = "refuse"` or not.
fn with_crls(
    roots: &[&Authority],
    crls: &[CertificateRevocationListDer<'_>],
    leaf_only: bool,
    refuse_expired: bool,
) -> Arc<Trust> {
    let anchors: Vec<_> = roots.iter().map(|root| anchor(root.der()).unwrap()).collect();
    let crls = crls.iter().map(|der| Crl::read(der, &anchors).unwrap()).collect();
    trust(Mode::Required, Rule::Ca(Ca::new(anchors, crls, leaf_only, refuse_expired)))
}

/// The same certificate as X.509 version 1: without the version, without extensions.
fn version_1(holder: Holder) -> Holder {
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }
    let certificate = parse(&holder.chain[0]).unwrap();
    let fields = &certificate.tbs_certificate;
    let serial = element(2, certificate.raw_serial());
    let dates = {
        let der = fields.as_ref();
        let end =
            der.windows(fields.subject.as_raw().len()).rposition(|w| w == fields.subject.as_raw()).unwrap();
        der[end - 32..end].to_vec()
    };
    let algorithm = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]; // ecdsa-with-SHA256
    let subject = fields.subject.as_raw();
    let content = [&serial, &algorithm[..], subject, &dates, subject, fields.subject_pki.raw].concat();
    let signed = element(0x30, &content);
    let signature = [&[0][..], &holder.key.sign(&signed).unwrap()].concat();
    let whole = element(0x30, &[&signed, &algorithm[..], &element(3, &signature)].concat());
    assert_eq!(parse(&whole).unwrap().version(), x509_parser::x509::X509Version::V1);
    Holder { chain: vec![whole.into()], key: holder.key }
}

#[test]
fn any_certificate_with_valid_dates_is_admitted_where_no_path_is_asked_for() {
    // RFC 8705 §6.2: "it is not necessary for the resource server to validate the trust chain of the client's certificate in
    // any of the methods defined in this document"; §2.2 lets clients have self-signed ones.
    let bench = Bench::new();
    for mode in [Mode::Required, Mode::Optional] {
        let trust = Trust::any(mode);
        for holder in [
            Holder::self_signed(|_| ()),
            Authority::root("unknown").certify(1, |_| ()),
            version_1(Holder::self_signed(|_| ())),
        ] {
            let not_after = seconds(parse(&holder.chain[0]).unwrap().validity().not_after);
            let admitted = bench.judge(&trust, Some(&holder)).unwrap();
            assert_eq!(admitted, Admitted { generation: trust.generation(), until: not_after + 1 });
        }
        let expired = Holder::self_signed(|params| validity(params, -2, -1));
        let early = Holder::self_signed(|params| validity(params, 1, 2));
        assert!(matches!(bench.judge(&trust, Some(&expired)), Err(Fault::ExpiredContext { .. })));
        assert!(matches!(bench.judge(&trust, Some(&early)), Err(Fault::NotValidYetContext { .. })));
    }
}

#[test]
fn a_path_to_the_authority_is_asked_for() {
    // RFC 8705 §2.1, RFC 5280 §6. A certificate of version 1 (the last) is of use only where no path is asked for.
    let (bench, root) = (Bench::new(), Authority::root("clients"));
    for mode in [Mode::Required, Mode::Optional] {
        let trust = ca(mode, &root);
        let verdict = |holder: Holder| bench.judge(&trust, Some(&holder));
        verdict(root.certify(1, |_| ())).unwrap();
        assert_eq!(verdict(Authority::root("others").certify(1, |_| ())), Err(Fault::UnknownIssuer));
        assert_eq!(verdict(Authority::root("clients").certify(1, |_| ())), Err(Fault::BadSignature));
        let itself = verdict(Holder::self_signed(|params| params.is_ca = rcgen::IsCa::NoCa));
        assert_eq!(itself, Err(Fault::UnknownIssuer));
        let expired = verdict(root.certify(1, |params| validity(params, -2, -1)));
        assert!(matches!(expired, Err(Fault::ExpiredContext { .. })), "{expired:?}");
        let early = verdict(root.certify(1, |params| validity(params, 1, 2)));
        assert!(matches!(early, Err(Fault::NotValidYetContext { .. })), "{early:?}");
        assert!(verdict(version_1(root.certify(1, |_| ()))).is_err());
    }
}

#[test]
fn a_certificate_for_servers_alone_is_no_client_certificate() {
    // RFC 5280 §4.2.1.12: a certificate with extended key usages "MUST only be used for one of the purposes indicated".
    let (bench, root) = (Bench::new(), Authority::root("clients"));
    let purpose = |usage: ExtendedKeyUsagePurpose| {
        let holder =
            root.certify(1, |params: &mut CertificateParams| params.extended_key_usages = vec![usage]);
        bench.judge(&ca(Mode::Required, &root), Some(&holder))
    };
    purpose(ExtendedKeyUsagePurpose::ClientAuth).unwrap();
    assert!(matches!(purpose(ExtendedKeyUsagePurpose::ServerAuth), Err(Fault::Other(_))));
}

#[test]
fn no_certificate_is_admitted_only_where_it_is_optional() {
    let (bench, root) = (Bench::new(), Authority::root("clients"));
    for trust in [Trust::any(Mode::Optional), ca(Mode::Optional, &root)] {
        assert_eq!(bench.judge(&trust, None).unwrap().until, u64::MAX);
    }
    for trust in [Trust::any(Mode::Required), ca(Mode::Required, &root)] {
        bench.judge(&trust, None).unwrap_err();
    }
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    // RFC 8705 §6.2: mutual TLS serves "purely as a proof-of-possession mechanism"; RFC 8446 §4.4.3, RFC 5246 §7.4.8.
    let (bench, root) = (Bench::new(), Authority::root("clients"));
    for trust in [
        Trust::any(Mode::Required),
        Trust::any(Mode::Optional),
        ca(Mode::Required, &root),
        ca(Mode::Optional, &root),
    ] {
        let thief = Holder { key: root.certify(2, |_| ()).key, ..root.certify(1, |_| ()) };
        trust.admit(&thief.chain, from_now(0)).unwrap();
        let server = bench.server(&trust, None);
        for version in VERSIONS {
            // With the path remembered, too.
            for _ in 0..2 {
                let result =
                    handshake(&Arc::new(client(&bench.authority, Some(&thief), &[version])), &server);
                assert_eq!(result.err(), Some(Fault::BadSignature.into()));
            }
        }
    }
}

#[test]
fn a_path_may_lead_over_authorities_that_the_client_sends() {
    let (bench, root) = (Bench::new(), Authority::root("root"));
    let (upper, trust) = (root.below("upper"), ca(Mode::Required, &root));
    let lower = upper.below("lower");
    let verdict = |above: &[&Authority]| bench.judge(&trust, Some(&lower.certify(1, |_| ()).with(above)));
    verdict(&[&lower, &upper]).unwrap();
    verdict(&[&upper, &lower]).unwrap();
    verdict(&[&lower, &upper, &root, &Authority::root("beside the point")]).unwrap();
    assert_eq!(verdict(&[&lower]), Err(Fault::UnknownIssuer));
    assert_eq!(verdict(&[]), Err(Fault::UnknownIssuer));
}

#[test]
fn what_a_client_may_send_is_bounded() {
    let (bench, root) = (Bench::new(), Authority::root("root"));
    for trust in [ca(Mode::Required, &root), Trust::any(Mode::Required)] {
        let many = |n| root.certify(1, |_| ()).with(&vec![&root; n]);
        bench.judge(&trust, Some(&many(MAX_CERTIFICATES - 1))).unwrap();
        assert!(matches!(bench.judge(&trust, Some(&many(MAX_CERTIFICATES))), Err(Fault::Other(_))));
        let large = root.certify(1, |params| {
            params.custom_extensions =
                vec![rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1], vec![4; MAX_CHAIN])];
        });
        assert!(matches!(bench.judge(&trust, Some(&large)), Err(Fault::Other(_))));
    }
}

#[test]
fn a_revoked_certificate_is_refused_at_either_depth() {
    // RFC 5280 §6.3.
    let (bench, root) = (Bench::new(), Authority::root("root"));
    let below = root.below("below");
    let holder = |serial| below.certify(serial, |_| ()).with(&[&below]);
    let (of_root, of_below) = (root.crl(&[], 30), below.crl(&[7], 30));

    for leaf_only in [true, false] {
        let both = with_crls(&[&root], &[of_root.clone(), of_below.clone()], leaf_only, false);
        bench.judge(&both, Some(&holder(8))).unwrap();
        assert_eq!(bench.judge(&both, Some(&holder(7))), Err(Fault::Revoked));
    }

    // "each certificate below the anchor needs a CRL of its issuer, else it is refused"
    let only_leaf = with_crls(&[&root], std::slice::from_ref(&of_below), true, false);
    bench.judge(&only_leaf, Some(&holder(8))).unwrap();
    let chain = with_crls(&[&root], &[of_below], false, false);
    assert_eq!(bench.judge(&chain, Some(&holder(8))), Err(Fault::UnknownRevocationStatus));
    let of_others = with_crls(&[&root], &[Authority::root("others").crl(&[], 30)], true, false);
    assert_eq!(bench.judge(&of_others, Some(&holder(8))), Err(Fault::UnknownRevocationStatus));
}

#[test]
fn a_revoked_intermediate_authority_is_refused_at_full_depth() {
    let (bench, root) = (Bench::new(), Authority::root("root"));
    let below = root.below("below");
    let holder = below.certify(1, |_| ()).with(&[&below]);
    let crls = [root.crl(&[Authority::SERIAL], 30), below.crl(&[], 30)];
    assert_eq!(bench.judge(&with_crls(&[&root], &crls, false, false), Some(&holder)), Err(Fault::Revoked));
    bench.judge(&with_crls(&[&root], &crls, true, false), Some(&holder)).unwrap();
}

#[test]
fn a_crl_past_its_next_update_still_counts_or_admits_nobody() {
    let (bench, root) = (Bench::new(), Authority::root("root"));
    let crl = root.crl(&[7], -1);
    let warn = with_crls(&[&root], std::slice::from_ref(&crl), false, false);
    bench.judge(&warn, Some(&root.certify(8, |_| ()))).unwrap();
    assert_eq!(bench.judge(&warn, Some(&root.certify(7, |_| ()))), Err(Fault::Revoked));

    let refuse = with_crls(&[&root], &[crl], false, true);
    let verdict = bench.judge(&refuse, Some(&root.certify(8, |_| ())));
    assert!(matches!(verdict, Err(Fault::ExpiredRevocationListContext { .. })), "{verdict:?}");
}

#[test]
fn of_two_crls_of_one_authority_the_newer_counts() {
    let (bench, root) = (Bench::new(), Authority::root("root"));
    let (old, new) = (root.crl(&[], -1), root.crl(&[7], 30));
    for crls in [[old.clone(), new.clone()], [new, old]] {
        for refuse_expired in [true, false] {
            let trust = with_crls(&[&root], &crls, false, refuse_expired);
            assert_eq!(bench.judge(&trust, Some(&root.certify(7, |_| ()))), Err(Fault::Revoked));
            bench.judge(&trust, Some(&root.certify(8, |_| ()))).unwrap();
        }
    }
}

#[test]
fn two_authorities_of_one_name_have_each_their_own_crl() {
    // RFC 5280 §5.2.1: the authority key identifier is for issuers with "more than one signing key".
    let (bench, old, new) = (Bench::new(), Authority::root("root"), Authority::root("root"));
    let crls = [old.crl(&[7], 30), new.crl(&[8], 30)];
    let trust = with_crls(&[&old, &new], &crls, false, false);
    for (authority, revoked, good) in [(&old, 7, 8), (&new, 8, 7)] {
        bench.judge(&trust, Some(&authority.certify(good, |_| ()))).unwrap();
        assert_eq!(bench.judge(&trust, Some(&authority.certify(revoked, |_| ()))), Err(Fault::Revoked));
    }
}

#[test]
fn a_crl_that_the_authority_has_not_signed_is_not_accepted_at_all() {
    let (root, namesake) = (Authority::root("root"), Authority::root("root"));
    let anchors = [anchor(root.der()).unwrap()];
    Crl::read(&root.crl(&[], 30), &anchors).unwrap();
    Crl::read(&Authority::root("intermediate").crl(&[], 30), &anchors).unwrap();
    assert!(Crl::read(&namesake.crl(&[], 30), &anchors).unwrap_err().contains("not signed"));
    assert!(Crl::read(b"0", &anchors).unwrap_err().contains("of no use"));
}

#[test]
fn what_is_remembered_of_a_path_ends_with_its_dates() {
    let root = Authority::root("root");
    let below = root.below("below");
    let holder = below.certify(1, |params| validity(params, -1, 10)).with(&[&below]);
    let crls = [root.crl(&[], 30), below.crl(&[], 5)];

    let trust = with_crls(&[&root], &crls, false, false);
    let Admitted { until, .. } = trust.admit(&holder.chain, from_now(0)).unwrap();
    let not_after = seconds(parse(&holder.chain[0]).unwrap().validity().not_after);
    assert_eq!(until, not_after + 1);
    let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    assert_eq!(trust.admit(&holder.chain, at(not_after)).unwrap().until, until);
    assert!(trust.admit(&holder.chain, at(until)).unwrap_err().0.contains("expired"));

    let trust = with_crls(&[&root], &crls, false, true);
    let Admitted { until, .. } = trust.admit(&holder.chain, from_now(0)).unwrap();
    assert_eq!(until, Crl::read(&crls[1], &[]).unwrap().next_update);
    trust.admit(&holder.chain, at(until - 1)).unwrap();
    assert!(trust.admit(&holder.chain, at(until)).unwrap_err().0.contains("revocation list expired"));
}

#[test]
fn a_path_that_is_remembered_is_that_of_the_same_bytes_only() {
    let root = Authority::root("root");
    let trust = ca(Mode::Required, &root);
    let holder = root.certify(1, |_| ());
    trust.admit(&holder.chain, from_now(0)).unwrap();
    let mut altered = holder.chain[0].to_vec();
    *altered.last_mut().unwrap() ^= 1;
    trust.admit(&[altered.into()], from_now(0)).unwrap_err();
}

#[test]
fn a_resumed_session_is_judged_by_the_trust_of_today() {
    // "A client whose certificate a new CA or CRL no longer admits ... is refused from its next request on, on open and
    // resumed connections too": rustls asks no verifier on resumption, and hands over the chain of the first handshake.
    let (bench, root) = (Bench::new(), Authority::root("root"));
    let holder = root.certify(7, |_| ());
    for version in VERSIONS {
        let before = ca(Mode::Required, &root);
        let first = bench.server(&before, None);
        let client = Arc::new(client(&bench.authority, Some(&holder), &[version]));
        let (_, connection) = handshake(&client, &first).unwrap();
        assert_ne!(connection.handshake_kind(), Some(HandshakeKind::Resumed));

        let after = with_crls(&[&root], &[root.crl(&[7], 30)], false, false);
        assert!(after.generation() > before.generation());
        let second = bench.server(&after, Some(&first));
        let (_, connection) = handshake(&client, &second).unwrap();
        assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Resumed));
        let chain = connection.peer_certificates().unwrap();
        assert_eq!(chain, holder.chain);
        before.admit(chain, from_now(0)).unwrap();
        assert!(after.admit(chain, from_now(0)).unwrap_err().0.contains("Revoked"));
    }
}

#[test]
fn authorities_are_named_as_a_hint_as_long_as_there_are_few() {
    // RFC 8446 §4.2.4.
    let few = ca(Mode::Required, &Authority::root("root"));
    assert_eq!(few.verifier().root_hint_subjects().len(), 1);
    assert!(Trust::any(Mode::Required).verifier().root_hint_subjects().is_empty());
    let root = anchor(Authority::root(&"x".repeat(60)).der()).unwrap();
    let many = Ca::new(vec![root; 300], Vec::new(), false, false);
    assert!(trust(Mode::Required, Rule::Ca(many)).verifier().root_hint_subjects().is_empty());
}

#[test]
fn files_with_an_expired_crl_are_named() {
    let expiry =
        |file: &str, what, days| Expiry { file: file.into(), what, at: from_now(days * DAY).as_secs() };
    let expiries = vec![
        expiry("new.crl", Expiring::Crl, 1),
        expiry("old.crl", Expiring::Crl, -1),
        expiry("old.pem", Expiring::Authority, -1),
    ];
    let trust = Trust::new(Mode::Required, Rule::Any, [0; 32], expiries);
    let files: Vec<_> = trust.expired_crls(from_now(0)).collect();
    assert_eq!(files, [&PathBuf::from("old.crl")]);
}
