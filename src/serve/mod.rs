//! One request: [`pipeline`] decides, [`forward`] sends, [`answer`] says why not.
pub mod admin;
