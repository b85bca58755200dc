//! Reads YAML into a tree with places, bounded in size and depth. Aliases share the node that they
//! name, so that they cannot multiply it. Nothing here knows what an alert is.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

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
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    /// Keys in the order of the file.
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) value: String,
    style: ScalarStyle,
    /// The index of its first character in the file.
    from: usize,
    spot: Spot,
}

impl Scalar {
    /// The spot of each character, and of the end.
    pub(super) fn spots(&self, chars: &FileChars) -> Vec<Spot> {
        chars.spots(&self.value, self.style, self.from, self.spot)
    }
}

impl Node {
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        if let Content::Scalar(scalar) = &self.content { Some(scalar) } else { None }
    }

    /// Keys and values, where it is a mapping.
    pub(super) fn map(&self) -> Option<&[(Rc<Node>, Rc<Node>)]> {
        if let Content::Map(entries) = &self.content { Some(entries) } else { None }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let named = |node: &Node| node.scalar().is_some_and(|scalar| scalar.value == key);
        self.map()?.iter().find(|(name, _)| named(name)).map(|(_, value)| &**value)
    }

    pub(super) fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| {
            let null = matches!(&*scalar.value, "" | "~" | "null" | "Null" | "NULL");
            null && scalar.style == ScalarStyle::Plain
        })
    }
}

/// Reads the documents of a text.
pub(super) fn read(chars: &FileChars, text: &str) -> Result<Vec<Rc<Node>>, YamlError> {
    if text.len() > MAX_FILE {
        let reason = format!("larger than {} MiB, which no file of rules is", MAX_FILE >> 20);
        return Err(YamlError { spot: chars.spot(1, 1), reason });
    }
    let mut builder = Builder { chars, open: Vec::new(), anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| YamlError {
            spot: chars.spot(error.marker().line(), error.marker().col() + 1),
            reason: format!("not YAML: {}", error.info()),
        })?;
        documents.extend(builder.take(event, span)?);
    }
    Ok(documents)
}

/// A collection whose end has not come yet.
struct OpenCollection {
    spot: Spot,
    anchor: usize,
    is_map: bool,
    children: Vec<Rc<Node>>,
}

struct Builder<'c> {
    chars: &'c FileChars,
    open: Vec<OpenCollection>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
}

impl Builder<'_> {
    /// Takes an event; answers the document that it completes.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<Option<Rc<Node>>, YamlError> {
        let spot = self.chars.spot(span.start.line(), span.start.col() + 1);
        let node = match event {
            Event::Scalar(value, style, anchor, _) => {
                let (value, from) = (value.into_owned(), span.start.index());
                self.node(spot, Content::Scalar(Scalar { value, style, from, spot }), anchor)?
            }
            Event::SequenceStart(anchor, _) => return self.push(spot, anchor, false),
            Event::MappingStart(anchor, _) => return self.push(spot, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let ended = self.open.pop().expect("the parser ends only what it has started");
                let OpenCollection { spot, anchor, is_map, children } = ended;
                let content = if is_map { map(children)? } else { Content::List(children) };
                self.node(spot, content, anchor)?
            }
            Event::Alias(anchor) => {
                let wrong = || YamlError { spot, reason: "an alias of nothing".to_owned() };
                self.anchors.get(&anchor).cloned().ok_or_else(wrong)?
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => return Ok(None),
        };
        match self.open.last_mut() {
            None => Ok(Some(node)),
            Some(parent) => {
                parent.children.push(node);
                Ok(None)
            }
        }
    }

    fn push(
        &mut self,
        spot: Spot,
        anchor: usize,
        is_map: bool,
    ) -> Result<Option<Rc<Node>>, YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(YamlError { spot, reason: format!("nested deeper than {MAX_DEPTH}") });
        }
        self.open.push(OpenCollection { spot, anchor, is_map, children: Vec::new() });
        Ok(None)
    }

    fn node(&mut self, spot: Spot, content: Content, anchor: usize) -> Result<Rc<Node>, YamlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let reason = format!("more than {MAX_NODES} values, which no file of rules has");
            return Err(YamlError { spot, reason });
        }
        let node = Rc::new(Node { spot, content });
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }
}

/// A mapping of keys and values that come in turn.
fn map(children: Vec<Rc<Node>>) -> Result<Content, YamlError> {
    let mut entries: Vec<(Rc<Node>, Rc<Node>)> = Vec::new();
    let mut seen = HashSet::new();
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        let wrong = |reason: String| YamlError { spot: key.spot, reason };
        let name = key.scalar().ok_or_else(|| wrong("a key is not a text".to_owned()))?;
        if name.value == "<<" {
            return Err(wrong("merge keys are not read; write the keys out".to_owned()));
        }
        if !seen.insert(name.value.clone()) {
            let name: String = name.value.chars().take(60).collect();
            return Err(wrong(format!("the key `{}` is there twice", name.escape_debug())));
        }
        entries.push((key, value));
    }
    Ok(Content::Map(entries))
}
