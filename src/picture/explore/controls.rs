//! What of a page depends on the model, as HTML.

use crate::picture::scatter::COLOURS;

/// Latent dimensions that have a slider, at most.
pub(super) const SLIDERS: usize = 16;

/// Text as HTML shows it, also within an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            _ => html.push(letter),
        }
    }
    html
}

/// The colour of a label's dots, as CSS has it.
pub(super) fn colour(label: usize) -> String {
    let (red, green, blue) = COLOURS[label % COLOURS.len()];
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A button a label, with the colour of its dots; one that leads nowhere cannot be pressed.
pub(super) fn buttons(labels: &[String], leads: impl Fn(usize) -> bool) -> String {
    let button = |(label, name): (usize, &String)| {
        let disabled = if leads(label) { "" } else { " disabled" };
        let (colour, name) = (colour(label), escaped(name));
        format!(
            "\n      <button type=\"button\"{disabled}><i style=\"background: {colour}\"></i>\
             <span>{name}</span></button>"
        )
    };
    labels.iter().enumerate().map(button).collect()
}

/// A slider for each of the first dimensions.
pub(super) fn sliders(dimensions: &[usize]) -> String {
    let slider = |dimension: &usize| {
        format!(
            "\n      <label><span>z{dimension}</span><input type=\"range\" step=\"0.01\" \
             data-dimension=\"{dimension}\" aria-label=\"Latent dimension {dimension}\"><span></span></label>"
        )
    };
    dimensions.iter().take(SLIDERS).map(slider).collect()
}

/// All dimensions to choose from; one is chosen.
pub(super) fn options(dimensions: &[usize], chosen: usize) -> String {
    let option = |(place, dimension): (usize, &usize)| {
        let selected = if place == chosen { " selected" } else { "" };
        format!("<option value=\"{dimension}\"{selected}>z{dimension}</option>")
    };
    dimensions.iter().enumerate().map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is() {
        assert_eq!(
            escaped("<script>'a' & \"b\"</script>"),
            "&lt;script&gt;&#39;a&#39; &amp; &quot;b&quot;&lt;/script&gt;"
        );
    }
}
