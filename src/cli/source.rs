//! Where images come from, as a flag has it.

use crate::data::Source;
use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser, ValueParserFactory};

/// Any path can be one, also one that is no UTF-8.
impl ValueParserFactory for Source {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        OsStringValueParser::new().try_map(Self::try_from).into()
    }
}
