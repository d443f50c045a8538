//! The control thread: the one writer of the [`Shared`] snapshot, and every call to an authorization server.

use super::snapshot::Snapshot;

/// A worker's line to the control thread.
#[derive(Clone)]
pub struct Control {
    _todo: (),
}

impl Control {
    /// Asks for newer keys of an issuer than those of `generation` and waits until they are published, until the fetch that
    /// was made (or shared) has failed, or at once where the limit of fetches forbids one. The caller then looks at the
    /// newest snapshot.
    pub async fn refresh_keys(&self, issuer: usize, generation: u64) {
        let _ = (issuer, generation);
        todo!()
    }
}

#[allow(dead_code)]
fn _keep(_: &Snapshot) {}
