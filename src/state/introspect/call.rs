//! One call: the question, the answer, and what it says, with newer keys of the issuer where the answer's signature needs them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Url;

use super::Question;
use super::access::Access;
use crate::config::settings::ForwardAuthorization;
use crate::decide::introspection::{Answer, Reading, Unusable, Verdict};
use crate::decide::issuer::{AnswerForm, Issuer};
use crate::decide::refusal::{Reason, Refusal};
use crate::state::calls::{CallError, Caller, Cause, Form, Posted};
use crate::state::control::WeakControl;
use crate::state::snapshot::Shared;

/// A call that is to be made.
pub(super) struct Call {
    pub(super) question: Question,
    pub(super) caller: Caller,
    pub(super) endpoint: Url,
    pub(super) access: Arc<Access>,
    pub(super) shared: Arc<Shared>,
    pub(super) keys: WeakControl,
}

/// What a call brought.
pub(super) struct Heard {
    pub(super) verdict: Verdict,
    /// What the verdict was reached with: another generation than was asked with where newer keys had to be fetched.
    pub(super) generation: u64,
}

/// Why a call brought nothing.
pub(super) enum Failure {
    /// The server gave no answer that can be used.
    Call(CallError),
    /// Its answer was signed, and the keys for it cannot be had.
    Keys(Refusal),
}

impl Call {
    /// Makes it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(super) async fn carry_out(self) -> Result<Heard, Failure> {
        let posted = self.ask().await.map_err(Failure::Call)?;
        let otherwise = match self.read(&self.question.issuer, &posted) {
            Err(Unusable::Keys(otherwise)) => otherwise,
            read => return self.heard(&self.question.issuer, read),
        };
        let name = &self.question.issuer.name;
        let newest = self.keys.refresh_keys(name, self.question.issuer.keys.generation).await;
        let issuer = newest.as_ref().unwrap_or(&self.question.issuer);
        let form = self.access.settings().answer;
        let read = match self.read(issuer, &posted) {
            Err(Unusable::Keys(_)) if issuer.keys.set.is_none() => return Err(Failure::Keys(otherwise)),
            // A phantom answer is an access token, so its signature is judged as one; a signed answer is only how a server speaks.
            Err(Unusable::Keys(refusal)) if form == AnswerForm::Phantom => Ok(Verdict::Refused(refusal)),
            Err(Unusable::Keys(refusal)) => {
                Err(Unusable::Invalid(format!("the signed answer: {}", refusal.reason.name()).into()))
            }
            read => read,
        };
        self.heard(issuer, read)
    }

    async fn ask(&self) -> Result<Posted, CallError> {
        let settings = self.access.settings();
        let (content, authorization) =
            self.access.request(&self.question.token).map_err(|cause| cause.at(&self.endpoint))?;
        let form = Form { content, authorization, accept: settings.answer.media_type() };
        // Two attempts share the time of one.
        match tokio::time::timeout(settings.timeout, self.caller.post(&self.endpoint, &form)).await {
            Ok(posted) => posted,
            Err(_) => Err(Cause::Timeout.at(&self.endpoint)),
        }
    }

    fn read(&self, issuer: &Issuer, posted: &Posted) -> Result<Verdict, Unusable> {
        let forward = &self.shared.load().settings.forward;
        let reading = Reading {
            index: self.question.index,
            issuer,
            headers: &forward.claims,
            keep_jwt: forward.authorization == ForwardAuthorization::Phantom,
            now: since_epoch().as_secs(),
        };
        reading.read(&Answer { media_type: posted.media_type.as_deref(), body: &posted.body })
    }

    fn heard(&self, issuer: &Issuer, read: Result<Verdict, Unusable>) -> Result<Heard, Failure> {
        match read {
            Ok(verdict) => Ok(Heard { verdict, generation: issuer.answer_generation() }),
            Err(Unusable::Invalid(text)) => {
                Err(Failure::Call(Cause::Invalid(text.into_owned()).at(&self.endpoint)))
            }
            Err(Unusable::Keys(refusal)) => Err(Failure::Keys(refusal)),
        }
    }
}

impl Failure {
    /// The word of the metric `introspections_total`.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Failure::Call(error) => error.outcome(),
            Failure::Keys(_) => "keys",
        }
    }

    /// What the request is answered with.
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Failure::Call(error) => unavailable(error.to_string()),
            Failure::Keys(refusal) => refusal.clone(),
        }
    }
}

/// `introspection-unavailable`, with what the operator reads.
pub(super) fn unavailable(note: impl Into<Cow<'static, str>>) -> Refusal {
    Reason::IntrospectionUnavailable.note(note)
}

pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
