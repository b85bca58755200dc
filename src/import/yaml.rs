//! Reads YAML into a tree with places, bounded in size and depth. Aliases share the node that they
//! name, so that they cannot multiply it. Nothing here knows what an alert is.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

use super::spot::{FileChars, Spot};

/// The largest file. The rules of a large Kubernetes set are a tenth of it.
pub const MAX_FILE: usize = 4 << 20;

/// How deep collections may nest. A rule's labels are at a depth of six.
const MAX_DEPTH: usize = 32;

/// The most nodes of a file; ten times what the largest file of rules holds.
const MAX_NODES: usize = 1_000_000;

/// Why a text is not a file of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct YamlError {
    /// Where.
    pub spot: Spot,
    /// What is wrong.
    pub reason: String,
}

/// A value and where it starts.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) spot: Spot,
    /// The index of its first character in the file.
    from: usize,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(String, ScalarStyle),
    List(Vec<Rc<Node>>),
    /// Keys in the order of the file.
    Map(Vec<(String, Rc<Node>)>),
}

impl Node {
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        if let Content::Scalar(text, _) = &self.content { Some(text) } else { None }
    }

    /// Keys and values, where it is a mapping.
    pub(super) fn map(&self) -> Option<&[(String, Rc<Self>)]> {
        if let Content::Map(entries) = &self.content { Some(entries) } else { None }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(
            &self.content,
            Content::Scalar(text, ScalarStyle::Plain)
                if matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
        )
    }

    /// The spot of each byte of a scalar, and of its end.
    pub(super) fn spots(&self, chars: &FileChars) -> Vec<Spot> {
        let Content::Scalar(text, style) = &self.content else { return Vec::new() };
        chars.spots(text, *style, self.from, self.spot)
    }
}

/// Reads the documents of a text.
pub(super) fn read(chars: &FileChars, text: &str) -> Result<Vec<Rc<Node>>, YamlError> {
    if text.len() > MAX_FILE {
        let reason = format!("larger than {} MiB, which no file of rules is", MAX_FILE >> 20);
        return Err(YamlError { spot: chars.spot(1, 1), reason });
    }
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { chars, parser, anchors: HashMap::new(), nodes: 0 };
    std::iter::from_fn(|| reader.node(0).transpose()).collect()
}

struct Reader<'t> {
    chars: &'t FileChars,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
}

impl Reader<'_> {
    /// The next value; none at the end of a collection or of the stream.
    fn node(&mut self, depth: usize) -> Result<Option<Rc<Node>>, YamlError> {
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| YamlError {
                spot: self.chars.spot(error.marker().line(), error.marker().col() + 1),
                reason: format!("not YAML: {}", error.info()),
            })?;
            let spot = self.chars.spot(span.start.line(), span.start.col() + 1);
            let (content, anchor) = match event {
                Event::Scalar(text, style, anchor, _) => {
                    (Content::Scalar(text.into_owned(), style), anchor)
                }
                Event::SequenceStart(anchor, _) => {
                    (Content::List(self.children(spot, depth)?), anchor)
                }
                Event::MappingStart(anchor, _) => (map(&self.children(spot, depth)?)?, anchor),
                Event::Alias(anchor) => {
                    let wrong = || YamlError { spot, reason: "an alias of nothing".to_owned() };
                    return self.anchors.get(&anchor).cloned().map(Some).ok_or_else(wrong);
                }
                Event::SequenceEnd | Event::MappingEnd => return Ok(None),
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::StreamEnd => continue,
            };
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                let reason = format!("more than {MAX_NODES} values, which no file of rules has");
                return Err(YamlError { spot, reason });
            }
            let node = Rc::new(Node { spot, from: span.start.index(), content });
            if anchor > 0 {
                self.anchors.insert(anchor, node.clone());
            }
            return Ok(Some(node));
        }
        Ok(None)
    }

    fn children(&mut self, spot: Spot, depth: usize) -> Result<Vec<Rc<Node>>, YamlError> {
        if depth >= MAX_DEPTH {
            return Err(YamlError { spot, reason: format!("nested deeper than {MAX_DEPTH}") });
        }
        std::iter::from_fn(|| self.node(depth + 1).transpose()).collect()
    }
}

/// A mapping of keys and values that come in turn.
fn map(children: &[Rc<Node>]) -> Result<Content, YamlError> {
    let mut entries: Vec<(String, Rc<Node>)> = Vec::new();
    let mut seen = HashSet::new();
    for pair in children.chunks_exact(2) {
        let wrong = |reason: String| YamlError { spot: pair[0].spot, reason };
        let name = pair[0].text().ok_or_else(|| wrong("a key is not a text".to_owned()))?;
        if name == "<<" {
            return Err(wrong("merge keys are not read; write the keys out".to_owned()));
        }
        if !seen.insert(name) {
            let name: String = name.chars().take(60).collect();
            return Err(wrong(format!("the key `{}` is there twice", name.escape_debug())));
        }
        entries.push((name.to_owned(), pair[1].clone()));
    }
    Ok(Content::Map(entries))
}
