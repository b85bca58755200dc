//! Journals of the tests of this layer.
