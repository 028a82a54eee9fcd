//! Costs as a picture: a panel for each, a line over how much there is.

use std::fmt::Write as _;

/// Places and values, in the order of the places.
pub(crate) type Line = Vec<(f64, f64)>;

const PANELS_A_ROW: usize = 2;
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 210.0;
/// Where the line lies in its panel.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 420.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 170.0;
const INK: &str = "#0b6e99";

/// A line with its names. The value axis begins at nothing, so that what looks flat is.
pub(crate) struct Panel {
    title: String,
    line: Line,
}

impl Panel {
    /// A value by how much there is of something.
    pub(crate) fn new(value: &str, of: &str, line: Line) -> Self {
        Self {
            title: format!("{value}, by {of}"),
            line,
        }
    }

    fn drawn(&self) -> String {
        let most = self.line.iter().map(|(_, value)| *value);
        let most = most.fold(f64::MIN_POSITIVE, f64::max);
        let places = self.line.iter().map(|(place, _)| place.log10());
        let (least, far) = places.fold((f64::MAX, f64::MIN), |(least, far), place| {
            (least.min(place), far.max(place))
        });
        let x = |place: f64| {
            LEFT + (RIGHT - LEFT) * (place.log10() - least) / (far - least).max(f64::EPSILON)
        };
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / most;
        let mut out = text(10.0, 22.0, "start", &self.title);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" stroke=\"#999\" fill=\"none\"/>"
        );
        out += &text(LEFT - 6.0, TOP + 4.0, "end", &shown(most));
        out += &text(LEFT - 6.0, BOTTOM + 4.0, "end", "0");
        if let (Some((first, _)), Some((last, _))) = (self.line.first(), self.line.last()) {
            out += &text(x(*first), BOTTOM + 18.0, "middle", &shown(*first));
            out += &text(x(*last), BOTTOM + 18.0, "middle", &shown(*last));
        }
        let points: Vec<_> = self
            .line
            .iter()
            .map(|(place, value)| format!("{:.1},{:.1}", x(*place), y(*value)))
            .collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" stroke=\"{INK}\" stroke-width=\"2\" fill=\"none\"/>",
            points.join(" ")
        );
        for point in points {
            let (x, y) = point.split_once(',').unwrap_or_default();
            let _ = writeln!(
                out,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{INK}\"/>"
            );
        }
        out
    }
}

/// An SVG that needs nothing else and looks the same on light and dark pages.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let mut drawings = String::new();
    let mut y = 0.0;
    for row in panels.chunks(PANELS_A_ROW) {
        for (panel, x) in row.iter().zip([0.0, WIDTH]) {
            let drawn = panel.drawn();
            let _ = writeln!(
                drawings,
                "<g transform=\"translate({x} {y})\">\n{drawn}</g>"
            );
        }
        y += HEIGHT;
    }
    let width = 2.0 * WIDTH;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{y}\" fill=\"#fff\"/>\n{drawings}</svg>\n"
    )
}

fn shown(value: f64) -> String {
    match value {
        millions if millions >= 1e6 => format!("{:.1}M", millions / 1e6),
        thousands if thousands >= 1e4 => format!("{:.0}k", thousands / 1e3),
        few => format!("{few:.0}"),
    }
}

fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#333\">{text}</text>\n"
    )
}
