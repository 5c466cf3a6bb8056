//! Drawing.

use plotters::{coord::ranged1d::ValueFormatter, prelude::*};

/// Width and height, pixels.
const SIZE: (u32, u32) = (820, 360);
/// Marks on the lower axis at most: of shares, 90 %, 99 % and so on, and none between.
const X_LABELS: usize = 7;
const COLOURS: [RGBColor; 7] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(23, 190, 207),
];

/// What is on an axis.
pub(super) struct Axis {
    /// What it is.
    pub(super) name: &'static str,
    /// How a value is written.
    pub(super) labels: fn(f64) -> String,
}

/// A line of a plot.
pub(super) struct Line {
    /// Of whom.
    pub(super) name: String,
    /// From left to right; what is up is above 0.
    pub(super) points: Vec<(f64, f64)>,
}

type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

/// Lines over a scale that goes up by factors.
pub(super) fn lines(title: &str, x: &Axis, y: &Axis, series: &[Line]) -> String {
    svg(title, |out| draw_lines(out, title, x, y, series))
}

/// A bar for each.
pub(super) fn bars(title: &str, values: &[(String, f64)]) -> String {
    svg(title, |out| draw_bars(out, title, values))
}

/// A page with one plot less is better than none.
fn svg(title: &str, draw: impl FnOnce(&mut String) -> Drawn<()>) -> String {
    let mut out = String::new();
    match draw(&mut out) {
        Ok(()) => out,
        Err(error) => format!("<p class=\"bad\">{title} could not be drawn: {error}</p>"),
    }
}

fn draw_lines(out: &mut String, title: &str, x: &Axis, y: &Axis, series: &[Line]) -> Drawn<()> {
    let points = || series.iter().flat_map(|line| &line.points);
    let (left, right) = ends(points().map(|point| point.0));
    let (low, high) = ends(points().map(|point| point.1));
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    let across = left..(right.max(left + 1e-9));
    let up = ((low * 0.8).max(1e-6)..high * 1.2).log_scale();
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(8)
        .x_label_area_size(38)
        .y_label_area_size(64)
        .build_cartesian_2d(across, up)?;
    mesh(&mut chart, x, y)?;
    for (place, line) in series.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let drawn = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(drawn.point_size(3))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    legend(&mut chart)?;
    root.present()?;
    Ok(())
}

fn draw_bars(out: &mut String, title: &str, values: &[(String, f64)]) -> Drawn<()> {
    let (_, high) = ends(values.iter().map(|value| value.1));
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(8)
        .x_label_area_size(16)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..values.len() as f64, 0.0..high * 1.4)?;
    let unnamed = Axis { name: "", labels: |_| String::new() };
    mesh(&mut chart, &unnamed, &Axis { name: "us", labels: |value| format!("{value}") })?;
    for (place, (name, value)) in values.iter().enumerate() {
        let (colour, left) = (COLOURS[place % COLOURS.len()], place as f64);
        let bar = Rectangle::new([(left + 0.2, 0.0), (left + 0.8, *value)], colour.filled());
        chart
            .draw_series([bar])?
            .label(format!("{name}: {value:.2}"))
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    legend(&mut chart)?;
    root.present()?;
    Ok(())
}

type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

fn mesh<X, Y>(chart: &mut Chart<'_, '_, X, Y>, x: &Axis, y: &Axis) -> Drawn<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let (across, up) = (|value: &f64| (x.labels)(*value), |value: &f64| (y.labels)(*value));
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x.name).y_desc(y.name).x_label_formatter(&across).y_label_formatter(&up);
    mesh.x_labels(X_LABELS);
    mesh.light_line_style(WHITE.mix(0.0)).draw()?;
    Ok(())
}

fn legend<'a, 'b: 'a, X, Y>(chart: &mut Chart<'a, 'b, X, Y>) -> Drawn<()>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8));
    labels.border_style(BLACK.mix(0.3)).draw()?;
    Ok(())
}

/// The lowest and the highest.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}
