//! YAML as a tree with places, bounded in size and depth. Aliases share what they name, so nothing
//! grows by them. It knows nothing of alerts.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::place::{Chars, Spot, Style};

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
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Text(Text),
    List(Vec<Rc<Node>>),
    /// Keys in the order of the file.
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

/// A scalar.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) value: String,
    style: Style,
    /// The index of its first character in the file.
    from: usize,
    spot: Spot,
}

impl Text {
    /// Whether it says that there is nothing.
    pub(super) fn is_null(&self) -> bool {
        self.style == Style::Plain && matches!(&*self.value, "" | "~" | "null" | "Null" | "NULL")
    }

    /// The spot of each of its characters, and of its end.
    pub(super) fn spots(&self, chars: &Chars) -> Vec<Spot> {
        chars.spots(&self.value, self.style, self.from, self.spot)
    }
}

impl Node {
    pub(super) fn text(&self) -> Option<&Text> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Rc<Node>> {
        let Value::Map(entries) = &self.value else { return None };
        let named = |node: &Node| node.text().is_some_and(|text| text.value == key);
        entries.iter().find(|(name, _)| named(name)).map(|(_, value)| value)
    }

    pub(super) fn is_null(&self) -> bool {
        self.text().is_some_and(Text::is_null)
    }
}

/// Reads the documents of a text.
pub(super) fn read(chars: &Chars, text: &str) -> Result<Vec<Rc<Node>>, YamlError> {
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

/// A collection that is not closed yet.
struct Open {
    spot: Spot,
    anchor: usize,
    is_map: bool,
    children: Vec<Rc<Node>>,
}

struct Builder<'c> {
    chars: &'c Chars,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
}

impl Builder<'_> {
    fn spot(&self, span: Span) -> Spot {
        self.chars.spot(span.start.line(), span.start.col() + 1)
    }

    /// The document, where the event completes one.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<Option<Rc<Node>>, YamlError> {
        let spot = self.spot(span);
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let text = text(value.into_owned(), style, span, spot);
                self.add(Node { spot, value: Value::Text(text) }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.push(spot, anchor, false),
            Event::MappingStart(anchor, _) => self.push(spot, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let wrong = || YamlError { spot, reason: "an alias of nothing".to_owned() };
                let node = self.anchors.get(&anchor).cloned().ok_or_else(wrong)?;
                self.place(node)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(None),
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
        self.open.push(Open { spot, anchor, is_map, children: Vec::new() });
        Ok(None)
    }

    fn close(&mut self) -> Result<Option<Rc<Node>>, YamlError> {
        let Some(open) = self.open.pop() else { return Ok(None) };
        let value = if open.is_map { self.map(open.children)? } else { Value::List(open.children) };
        self.add(Node { spot: open.spot, value }, open.anchor)
    }

    /// Keys and values come in turn.
    fn map(&self, children: Vec<Rc<Node>>) -> Result<Value, YamlError> {
        let mut entries: Vec<(Rc<Node>, Rc<Node>)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut children = children.into_iter();
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            let wrong = |reason: String| YamlError { spot: key.spot, reason };
            let Some(name) = key.text() else {
                return Err(wrong("a key is not a text".to_owned()));
            };
            if name.value == "<<" {
                return Err(wrong("merge keys are not read; write the keys out".to_owned()));
            }
            if !seen.insert(name.value.clone()) {
                let name: String = name.value.chars().take(60).collect();
                return Err(wrong(format!("the key `{}` is there twice", name.escape_debug())));
            }
            entries.push((key, value));
        }
        Ok(Value::Map(entries))
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<Option<Rc<Node>>, YamlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let reason = format!("more than {MAX_NODES} values, which no file of rules has");
            return Err(YamlError { spot: node.spot, reason });
        }
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node)
    }

    fn place(&mut self, node: Rc<Node>) -> Result<Option<Rc<Node>>, YamlError> {
        match self.open.last_mut() {
            None => Ok(Some(node)),
            Some(open) => {
                open.children.push(node);
                Ok(None)
            }
        }
    }
}

fn text(value: String, style: ScalarStyle, span: Span, spot: Spot) -> Text {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    Text { value, style, from: span.start.index(), spot }
}
