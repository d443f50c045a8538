//! Every reason for which a request is not answered by the upstream.

use super::markdown::{Page, code, prose};
use crate::decide::refusal::{Challenge, Reason};
use crate::metrics::Verdict;
use crate::serve::answer::grpc_status;

pub(super) fn page() -> String {
    let about = "The `reason` is one stable word a cause: the same in the answer's problem document (RFC 9457), in the log and in \
        `boundgate_requests_total`. `decision` is that of log and metrics; gRPC callers get `grpc-status` in place of the status.";
    let texts =
        Reason::ALL.iter().map(|reason| [code(reason.name()), prose(reason.title()), prose(reason.detail())]);
    Page::new("Reasons")
        .paragraph(about)
        .table(
            ["reason", "status", "`WWW-Authenticate`", "`grpc-status`", "decision"],
            Reason::ALL.iter().map(row),
        )
        .heading("What a client reads")
        .paragraph("`title` and `detail` of the problem document; `detail` is also the `grpc-message`.")
        .table(["reason", "title", "detail"], texts)
        .finish()
}

fn row(reason: &Reason) -> [String; 5] {
    let challenge = match reason.challenge() {
        Challenge::None => String::new(),
        Challenge::Bare => code("Bearer"),
        // RFC 6750 §3.1 has the scope that is needed beside this code alone.
        Challenge::Error("insufficient_scope") => code("Bearer error=\"insufficient_scope\", scope=\"…\""),
        Challenge::Error(error) => code(&format!("Bearer error=\"{error}\"")),
    };
    let status = reason.status();
    let verdict = Verdict::of(Some(*reason)).name();
    [code(reason.name()), status.to_string(), challenge, grpc_status(status).to_string(), verdict.to_owned()]
}
