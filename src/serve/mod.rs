//! One request: [`pipeline`] decides, [`forward`] sends, [`answer`] says why not.
//!
//! Everything here lives on one worker thread: state is in `Rc` and `Cell`, and no future needs to be `Send`.

pub mod admin;
pub mod answer;
pub mod body;
pub mod clock;
pub mod exchange;
pub mod forward;
mod heard;
pub mod ids;
pub mod pipeline;
pub mod pool;
pub mod remembered;
mod upload;
pub mod worker;

pub use worker::{Connection, Worker};
