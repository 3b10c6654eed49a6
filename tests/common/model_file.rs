//! Real models for tests and benchmarks, from the user's own cache: fetched once, verified every time.

use std::path::PathBuf;
use std::sync::Arc;
use whowrote::model::catalogue::Catalogue;
use whowrote::model::store::{Store, TerminalProgress};

/// The file of a model of the built-in catalogue.
pub fn model_file(name: &str) -> PathBuf {
    let catalogue = Catalogue::built_in();
    let store = Store::new(Store::default_cache_dir().unwrap(), false, Arc::new(TerminalProgress));
    store.ensure(catalogue.model(name).unwrap()).unwrap().path
}
