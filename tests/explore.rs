//! The page to play with, in a real browser: opened from disk, without a network.

mod common;

use common::Place;
use common::browser::{FAST_CLOCK, browser, dump_dom_with};
use image::{DynamicImage, GrayImage, Rgb, RgbImage};
use serde_json::{Value, json};
use std::path::Path;

/// What a page says before its own scripts run: whatever goes wrong is kept. Its frames come with the browser's clock,
/// which goes as fast as it can, and not with that of a screen.
const WATCH: &str = "
requestAnimationFrame = then => setTimeout(() => then(performance.now()), 16);
cancelAnimationFrame = clearTimeout;
const errors = [];
addEventListener('error', event => errors.push(event.message));
addEventListener('unhandledrejection', event => errors.push(String(event.reason)));
addEventListener('securitypolicyviolation', event => errors.push(event.violatedDirective));
console.error = console.warn = (...said) => errors.push(said.join(' '));
";

/// What a hand does on a page, and what an eye sees on it.
const HAND: &str = "
const at = id => document.getElementById(id);
const later = milliseconds => new Promise(done => setTimeout(done, milliseconds));
const pixels = id => Array.from(at(id).getContext('2d').getImageData(0, 0, at(id).width, at(id).height).data);
const look = async () => { await later(500); return { text: at('latent').value, pixels: pixels('picture') }; };
const slide = (input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); };
const type = (key, on = document.body) => on.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
const point = (id, kind, x, y) => {
  const { left, top, width, height } = at(id).getBoundingClientRect();
  at(id).dispatchEvent(new PointerEvent(kind, { buttons: 1, clientX: left + x * width, clientY: top + y * height }));
};
const stroke = (id, ...places) => places.forEach(([x, y], i) => point(id, i ? 'pointermove' : 'pointerdown', x, y));
";

/// The browser of somebody who asked for no motion.
const NO_MOTION: &str = "--force-prefers-reduced-motion";

/// Opens a page with a script at its end, which leaves what it finds in `found`; that, and that nothing went wrong.
#[track_caller]
fn play(page: &Path, script: &str, flags: &[&str]) -> Value {
    let html = std::fs::read_to_string(page).unwrap();
    let watched = html.replacen("<style>", &format!("<script>{WATCH}</script><style>"), 1);
    let script = format!(
        "<script>{HAND}
        const said = document.body.appendChild(document.createElement('pre'));
        said.id = 'said';
        const say = found => {{ said.textContent = JSON.stringify({{ errors, found }}); }};
        {script}</script></body>"
    );
    let played = page.with_extension("played.html");
    std::fs::write(&played, watched.replace("</body>", &script)).unwrap();
    let dom = dump_dom_with(&played, flags);
    let (_, said) = dom.split_once("<pre id=\"said\">").expect("the page");
    let said = said.split_once("</pre>").unwrap().0;
    let said = said
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let mut said: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(said["errors"], json!([]));
    said["found"].take()
}

/// A script that runs when the page is there, and may wait.
fn script(acts: &str) -> String {
    format!(
        "(async () => {{ await later(500); {acts} }})().catch(error => errors.push(String(error)));"
    )
}

/// A model to have a page of.
struct Model {
    config: &'static str,
    changes: Vec<(&'static str, Value)>,
    channels: usize,
    side: u32,
    label: Option<usize>,
}

/// The configuration of a place's tiny model, and what is changed in it.
fn tiny(changes: Vec<(&'static str, Value)>) -> Model {
    Model {
        config: "tiny.json",
        changes,
        channels: 1,
        side: 28,
        label: None,
    }
}

/// One of the project's configurations.
fn of_project(config: &'static str) -> Model {
    Model {
        config,
        ..tiny(Vec::new())
    }
}

impl Model {
    /// Trains it a little, and makes its page.
    fn train(&self, place: &Place) {
        if self.channels == 3 {
            pictures(place, self.side);
        }
        let config = match self.config.starts_with("configs/") {
            true => Path::new(env!("CARGO_MANIFEST_DIR")).join(self.config),
            false => {
                place.config("changed.json", &self.changes);
                place.path("changed.json")
            }
        };
        let data = ["data", "pictures"][usize::from(self.channels == 3)];
        place.ok(&format!(
            "train --config {} --data {data} --steps 8 --batch-size 16 --image-every 8 --eval-every 8 --out run",
            config.display()
        ));
        let said = place.ok("explore --model run").stdout;
        assert_eq!(said, "explore.html\n");
    }
}

/// Pictures in colour: rectangles of two kinds.
fn pictures(place: &Place, side: u32) {
    for number in 0..60u32 {
        let colour = [[220, 40, 30], [30, 60, 220]][number as usize % 2];
        let [left, top] = [2 + number % 13, 2 + number * 5 % 11];
        let picture = RgbImage::from_fn(side, side, |x, y| {
            let is_ink = (left..left + 9).contains(&x) && (top..top + 9).contains(&y);
            Rgb(if is_ink { colour } else { [20; 3] })
        });
        let name = format!(
            "pictures/{}/{number}.png",
            ["red", "blue"][number as usize % 2]
        );
        std::fs::create_dir_all(place.path(&name).parent().unwrap()).unwrap();
        picture.save(place.path(&name)).unwrap();
    }
}

/// The values of an array file, however it is shaped.
fn values(place: &Place, npy: &str) -> Vec<f32> {
    let file = place.read(npy);
    let header = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let (values, _) = file[header..].as_chunks::<4>();
    values
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

/// The bytes of a canvas without what is opaque anyway: the channels of a model.
fn bytes(canvas: &Value, channels: usize) -> Vec<u8> {
    let bytes: Vec<u8> = serde_json::from_value(canvas.clone()).unwrap();
    let pixels = bytes.chunks_exact(4);
    pixels
        .flat_map(|pixel| pixel[..channels].to_vec())
        .collect()
}

/// How far bytes of a canvas are from values of 0 to 1, in bytes.
fn distance(bytes: &[u8], values: &[f32]) -> f32 {
    assert_eq!(bytes.len(), values.len());
    let pairs = bytes.iter().zip(values);
    pairs.fold(0.0, |most, (&byte, value)| {
        f32::max(most, (f32::from(byte) - 255.0 * value).abs())
    })
}

/// Moves all that moves a picture, draws, and compares what the page shows with what the program makes of the same.
fn compare(model: &Model) {
    if browser().is_none() {
        return;
    }
    let place = Place::new();
    model.train(&place);
    let choose = match model.label {
        Some(label) => format!("document.querySelectorAll('#labels button')[{label}].click();"),
        None => String::new(),
    };
    let acts = format!(
        "{choose}
        const looks = [await look()];
        for (const input of document.querySelectorAll('#sliders input')) slide(input, -1.5 * input.value + 0.6);
        looks.push(await look());
        type('n');
        looks.push(await look());
        stroke('pad', [0.4, 0.5], [0.9, 0.1]);
        looks.push(await look());
        stroke('drawing', [0.3, 0.2], [0.7, 0.2], [0.5, 0.5], [0.4, 0.9]);
        stroke('drawing', [0.3, 0.55], [0.6, 0.55]);
        await later(500);
        {choose}
        say({{ looks, drawn: await look(), seen: pixels('seen') }});"
    );
    let found = play(
        &place.path("explore.html"),
        &script(&acts),
        &[FAST_CLOCK, NO_MOTION],
    );
    let looks = found["looks"].as_array().unwrap();
    assert_eq!(looks.len(), 4);
    for look in looks {
        let text = look["text"].as_str().unwrap();
        place.write("latent.jsonl", text);
        place.ok("decode latent.jsonl one.npy --model run");
        let shown = bytes(&look["pixels"], model.channels);
        let distance = distance(&shown, &values(&place, "one.npy"));
        assert!(
            distance <= 1.0,
            "{}: {distance} of 255 at {text}",
            model.config
        );
    }
    assert!(looks[0] != looks[1] && looks[1] != looks[2] && looks[2] != looks[3]);

    // What the encoder saw, as a picture of one's own.
    let seen = bytes(&found["seen"], model.channels);
    let ink = seen.iter().filter(|&&byte| byte > 128).count();
    assert!(
        (20 * model.channels..seen.len() / 2).contains(&ink),
        "{ink} bright values"
    );
    let (width, height) = (model.side, model.side);
    let picture: DynamicImage = match model.channels {
        1 => GrayImage::from_raw(width, height, seen).unwrap().into(),
        _ => RgbImage::from_raw(width, height, seen).unwrap().into(),
    };
    picture.save(place.path("drawn.png")).unwrap();
    let label = model
        .label
        .map_or(String::new(), |label| format!("--label {label}"));
    place.ok(&format!("reconstruct drawn.png {label} --model run"));
    // Below the original, each pixel two by two.
    let top = 2 + 2 * height + 2;
    let kept = (0..height).flat_map(|y| (0..width).map(move |x| [2 + 2 * x, top + 2 * y]));
    let picture = image::open(place.path("reconstructions.png"))
        .unwrap()
        .to_rgb8();
    let kept: Vec<f32> = kept
        .flat_map(|[x, y]| picture.get_pixel(x, y).0[..model.channels].to_vec())
        .map(|byte| f32::from(byte) / 255.0)
        .collect();
    let shown = bytes(&found["drawn"]["pixels"], model.channels);
    let distance = distance(&shown, &kept);
    assert!(
        distance <= 1.0,
        "{}: {distance} of 255 of a drawing",
        model.config
    );
}

/// The built-in model was told labels, and is not told what a drawing shows.
#[test]
fn a_drawing_is_taken_for_what_it_is_likeliest_to_show() {
    if browser().is_none() {
        return;
    }
    let place = Place::new();
    place.ok("explore --data data");
    let acts = "
        const chosen = () => [...document.querySelectorAll('#labels button')].findIndex(one => one.ariaPressed === 'true');
        stroke('drawing', [0.5, 0.2], [0.5, 0.8]);
        await later(500);
        const found = [chosen()];
        at('clear').click();
        const ring = Array.from({ length: 25 }, (_, i) => [0.5 + 0.2 * Math.sin(i / 4), 0.5 - 0.35 * Math.cos(i / 4)]);
        stroke('drawing', ...ring);
        await later(500);
        found.push(chosen());
        document.querySelectorAll('#labels button')[6].click();
        await later(500);
        say([...found, chosen()]);";
    let found = play(
        &place.path("explore.html"),
        &script(acts),
        &[FAST_CLOCK, NO_MOTION],
    );
    assert_eq!(found, json!([1, 0, 6]));
}

#[test]
fn the_default_draws_and_keeps_what_the_program_does() {
    compare(&of_project("configs/mnist.json"));
}

#[test]
fn the_article_s_model_draws_and_keeps_what_the_program_does() {
    compare(&of_project("configs/article.json"));
}

#[test]
fn a_conditional_model_draws_and_keeps_what_the_program_does() {
    compare(&Model {
        label: Some(7),
        ..of_project("configs/labels.json")
    });
}

#[test]
fn a_model_of_colours_draws_and_keeps_what_the_program_does() {
    compare(&Model {
        channels: 3,
        side: 32,
        ..of_project("configs/pictures-32.json")
    });
}

#[test]
fn every_layer_and_activation_draws_and_keeps_what_the_program_does() {
    let conv = |channels: u32, kernel: u32, stride: u32, padding: Value, activation: Value| json!({"channels": channels, "kernel": kernel, "stride": stride, "padding": padding, "activation": activation});
    compare(&tiny(vec![
        ("/likelihood", json!("bernoulli")),
        ("/binarize", json!("threshold")),
        ("/prior", json!("normal")),
        (
            "/encoder",
            json!([
                {"conv": conv(3, 5, 3, json!("same"), json!("gelu"))},
                {"conv_transpose": conv(4, 2, 2, json!("same"), json!("elu"))},
                {"conv": conv(5, 3, 1, json!(0), json!("none"))},
                {"reshape": [20, 9, 9]},
                {"conv": conv(2, 4, 3, json!(2), json!({"leaky_relu": 0.3}))},
            ]),
        ),
        (
            "/decoder",
            json!([
                {"dense": {"features": 50, "activation": "tanh", "dropout": 0.5}},
                {"reshape": [2, 5, 5]},
                {"conv_transpose": conv(3, 4, 3, json!("same"), json!("silu"))},
                {"conv": conv(4, 2, 2, json!("same"), json!("relu"))},
                {"conv_transpose": conv(1, 7, 3, json!(0), json!("sigmoid"))},
            ]),
        ),
    ]));
}

/// A place with a tiny model and its page; none where there is no browser to open that.
fn with_page(flags: &str) -> Option<Place> {
    browser()?;
    let place = Place::with_model();
    place.ok(&format!("explore --model run {flags}"));
    Some(place)
}

#[test]
fn a_walk_goes_on_until_it_is_stopped() {
    let Some(place) = with_page("") else { return };
    let acts = "
        const before = pixels('picture');
        at('walk').click();
        await later(400);
        const pressed = at('walk').ariaPressed, first = pixels('picture');
        await later(3000);
        const second = pixels('picture');
        type('Escape');
        await later(100);
        const stopped = [at('walk').ariaPressed, pixels('picture')];
        await later(1500);
        const after = pixels('picture');
        // To a test image of a label: the nearest one is that.
        type('7');
        await later(2500);
        say({ before, first, second, stopped: stopped[1], after, pressed, released: stopped[0],
              status: at('status').textContent, dots: JSON.parse(at('model').textContent).test_labels.length });";
    let found = play(&place.path("explore.html"), &script(acts), &[FAST_CLOCK]);
    assert_eq!(
        (&found["pressed"], &found["released"]),
        (&json!("true"), &json!("false"))
    );
    assert!(found["before"] != found["first"] && found["first"] != found["second"]);
    assert_eq!(found["stopped"], found["after"]);
    assert_eq!(found["dots"], 50);
    let status = found["status"].as_str().unwrap();
    assert!(
        status.starts_with("The nearest test images show: 7, "),
        "{status}"
    );
}

#[test]
fn who_wants_no_motion_gets_none() {
    let Some(place) = with_page("") else { return };
    let acts = "
        const before = pixels('picture');
        at('walk').click();
        await later(50);
        const there = pixels('picture');
        await later(3000);
        say({ before, there, after: pixels('picture'), pressed: at('walk').ariaPressed });";
    let found = play(
        &place.path("explore.html"),
        &script(acts),
        &[FAST_CLOCK, NO_MOTION],
    );
    assert!(found["before"] != found["there"]);
    assert_eq!(found["there"], found["after"]);
    assert_eq!(found["pressed"], "false");
}

#[test]
fn a_latent_vector_is_copied_and_shown_again() {
    let Some(place) = with_page("") else { return };
    let acts = "
        const first = await look();
        at('new').click();
        await later(2000);
        const second = await look();
        at('latent').focus();
        at('latent').value = first.text;
        at('load').click();
        at('latent').blur();
        const again = await look();
        at('latent').value = '[1, 2]';
        at('load').click();
        const refused = at('status').textContent;
        at('copy').click();
        await later(100);
        say({ first, second, again, refused, kept: await look(), copied: at('latent').value });";
    let found = play(&place.path("explore.html"), &script(acts), &[FAST_CLOCK]);
    assert!(found["first"] != found["second"]);
    assert_eq!(found["first"], found["again"]);
    assert_eq!(found["refused"], "That is no latent vector of 3 numbers.");
    assert_eq!(
        (&found["kept"], &found["copied"]),
        (&found["first"], &found["first"]["text"])
    );
}

#[test]
fn the_keys_reach_everything() {
    let Some(place) = with_page("") else { return };
    let acts = "
        const first = await look();
        for (const key of ['ArrowLeft', 'ArrowLeft', 'ArrowUp']) type(key, at('pad'));
        const moved = await look();
        at('drawing').focus();
        type(' ', at('drawing'));
        for (let i = 0; i < 8; i++) type('ArrowDown', at('drawing'));
        type(' ', at('drawing'));
        const drawn = await look();
        type('ArrowRight', at('drawing'));
        const lifted = await look();
        const unnamed = [...document.querySelectorAll('button, input, select, textarea, canvas, [role]')].filter(element =>
          !(element.ariaLabel || element.textContent.trim() || element.labels?.length || element.role === 'status'));
        const reached = [...document.querySelectorAll('canvas[role=application]')].every(canvas => canvas.tabIndex === 0);
        say({ first, moved, drawn, lifted, reached, unnamed: unnamed.map(element => element.outerHTML),
              live: at('status').ariaLive });";
    let found = play(&place.path("explore.html"), &script(acts), &[FAST_CLOCK]);
    let latent = |look: &str| -> Vec<f64> {
        let text: Value = serde_json::from_str(found[look]["text"].as_str().unwrap()).unwrap();
        serde_json::from_value(text["latent"].clone()).unwrap()
    };
    let (first, moved) = (latent("first"), latent("moved"));
    let mut moves: Vec<f64> = moved.iter().zip(&first).map(|(a, b)| a - b).collect();
    moves.sort_by(f64::total_cmp);
    for (found, expected) in moves.iter().zip([-0.2, 0.0, 0.1]) {
        assert!((found - expected).abs() < 1e-5, "{moves:?}");
    }
    assert!(latent("drawn") != moved);
    assert_eq!(found["drawn"]["text"], found["lifted"]["text"]);
    assert_eq!(
        (&found["unnamed"], &found["reached"]),
        (&json!([]), &json!(true))
    );
    assert_eq!(found["live"], "polite");
}

/// Of the default model: what is shown between two frames of a screen, or less.
#[test]
fn a_frame_of_the_default_takes_at_most_16_milliseconds() {
    if browser().is_none() {
        return;
    }
    let place = Place::new();
    of_project("configs/mnist.json").train(&place);
    let script = "
        const times = [];
        for (let i = 0; i < 101; i++) {
          latent[i % 10] = Math.sin(i);
          const begun = performance.now();
          frame();
          times.push(performance.now() - begun);
        }
        say(times.sort((a, b) => a - b)[50]);";
    // While other tests run beside it, a frame waits for them.
    let medians = (0..5).map(|_| {
        let found = play(
            &place.path("explore.html"),
            script,
            &["--enable-precise-memory-info"],
        );
        found.as_f64().unwrap()
    });
    let best = medians.fold(f64::INFINITY, f64::min);
    assert!(best <= 16.0, "{best} ms");
}

#[test]
fn names_are_shown_as_text() {
    let place = Place::new();
    pictures(&place, 28);
    let [red, blue] = ["</title><script>fail()<", "&amp; \"<!--<script>"]
        .map(|name| name.replace('/', "\u{2215}"));
    for (from, to) in [("red", &red), ("blue", &blue)] {
        std::fs::rename(
            place.path(format!("pictures/{from}")),
            place.path(format!("pictures/{to}")),
        )
        .unwrap();
    }
    let run = "<script>fail('run')";
    place.config(
        "labels.json",
        &[("/conditional", json!(true)), ("/classes", json!(2))],
    );
    let command = format!("train --config labels.json --data pictures --channels 1 --out {run}");
    place.ok(&command);
    place.ok(&format!("explore --model {run}"));
    let page = place.text("explore.html");
    assert!(!page.contains("<script>fail") && !page.contains("<!--<script"));
    if browser().is_none() {
        return;
    }
    let acts = "
        const labels = [...document.querySelectorAll('#labels button')].map(button => button.textContent);
        at('labels').children[1].click();
        await later(500);
        say({ title: document.title, heading: document.querySelector('h1').textContent, labels,
              status: at('status').textContent, pressed: at('labels').children[1].ariaPressed });";
    let found = play(&place.path("explore.html"), &script(acts), &[FAST_CLOCK]);
    assert_eq!(
        (&found["title"], &found["heading"]),
        (&json!(run), &json!(run))
    );
    // In the order of their names.
    assert_eq!(found["labels"], json!([blue, red]));
    let asked = format!("Asked for: {red}. ");
    assert!(
        found["status"].as_str().unwrap().starts_with(&asked),
        "{found}"
    );
    assert_eq!(found["pressed"], "true");
}

#[test]
fn without_test_images_there_are_no_dots() {
    let place = Place::with_model();
    std::fs::rename(place.path("data"), place.path("moved")).unwrap();
    let outcome = place.ok("explore --model run");
    let said = "warning: the page is without test images: ";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    assert!(place.text("explore.html").contains("there are no dots"));
    place.refused("explore --model run --data data", 2, "data");
    place.ok("explore with.html --model run --data moved");
    assert!(place.text("with.html").contains("Each of the 50 dots"));
    if browser().is_none() {
        return;
    }
    let acts = "
        const first = await look();
        at('walk').click();
        await later(1000);
        stroke('drawing', [0.5, 0.2], [0.5, 0.8]);
        say({ first, drawn: await look(), pad: pixels('pad').some(value => value > 0) });";
    let found = play(&place.path("explore.html"), &script(acts), &[FAST_CLOCK]);
    assert!(found["first"] != found["drawn"]);
    assert_eq!(found["pad"], true, "the ring is there");
}

#[test]
fn a_page_is_one_file_that_loads_nothing() {
    let place = Place::with_model();
    place.ok("explore page/of.html --model run");
    let page = place.text("page/of.html");
    assert!(page.contains("default-src 'none'"));
    for loads in ["src=", "href=", "http://", "https://", "import ", "fetch("] {
        assert!(!page.contains(loads), "{loads}");
    }
    place.refused("explore page.txt --model run", 2, "must end in .html");
    place.refused("explore --model nowhere", 2, "nowhere");
    let stream = place
        .command("explore - --model run --quiet")
        .output()
        .unwrap();
    assert!(stream.stdout == place.read("page/of.html"));
    assert!(stream.stderr.is_empty());
}
