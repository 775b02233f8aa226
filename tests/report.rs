//! The report: a page from disk, of one run or of several, in a real browser.

mod common;

use common::Place;
use common::browser::{browser, dump_dom};
use serde_json::{Value, json};
use vae::run::ModelName;

/// Opens a page in the browser, then has `script` act on it; what it leaves in `result` comes back. What the browser's
/// console says of errors is in there, as `errors`.
fn acted_on(place: &Place, page: &str, script: &str) -> Value {
    let html = place.text(page);
    // Before all others, so that it hears them.
    let listen = "<script>
        const errors = [];
        // The page's own is called by the test: in a browser without a screen time flies.
        const intervals = [];
        window.setInterval = (...interval) => intervals.push(interval);
        addEventListener('error', (event) => errors.push(event.message));
        addEventListener('securitypolicyviolation', (event) => errors.push(event.blockedURI));
        console.error = (...said) => errors.push(said.join(' '));
        </script>\n<title>";
    let act = format!(
        "<script>{{
            const result = {{}};
            const text = (selector) => document.querySelector(selector)?.textContent;
            const press = (node, key) => node.dispatchEvent(new KeyboardEvent('keydown', {{ key, bubbles: true }}));
            try {{ {script} }} catch (error) {{ errors.push(String(error)); }}
            result.errors = errors;
            const found = document.createElement('found');
            found.textContent = JSON.stringify(result).replaceAll('&', '\\\\u0026').replaceAll('<', '\\\\u003c')
                .replaceAll('>', '\\\\u003e');
            document.body.append(found);
        }}</script>\n</body>"
    );
    let html = html.replacen("<title>", listen, 1);
    let html = html.replacen("</body>\n</html>", &format!("{act}\n</html>"), 1);
    place.write("acted.html", html);
    let dom = dump_dom(&place.path("acted.html"));
    let (_, found) = dom.rsplit_once("<found>").expect("the script's result");
    let (found, _) = found.split_once("</found>").unwrap();
    serde_json::from_str(found).unwrap_or_else(|error| panic!("{error}: {found}"))
}

/// What a report says, from its JSON.
fn said(place: &Place, page: &str) -> Value {
    let html = place.text(page);
    let (_, said) = html.split_once("id=\"data\">").unwrap();
    serde_json::from_str(said.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn the_page_of_a_run_shows_pictures_by_step_and_values_by_pointer_and_key() {
    if browser().is_none() {
        return;
    }
    let place = Place::with_model();
    let found = acted_on(
        &place,
        "run/report.html",
        "
        const slider = document.querySelector('#slider');
        const shown = () => [...document.querySelectorAll('figure img')].filter((img) => img.checkVisibility())
            .map((img) => [img.dataset.kind, img.dataset.step, img.complete]);
        result.newest = shown();
        // The keys of a range are the browser's own: what they do is a step and an event.
        slider.stepDown();
        slider.dispatchEvent(new Event('input'));
        result.before = shown();
        result.says = [slider.getAttribute('aria-valuetext'), text('.step output')];
        slider.value = 0;
        slider.dispatchEvent(new Event('input'));
        result.first = shown();

        const chart = document.querySelector('.chart');
        result.end = text('.readings');
        press(chart, 'Home');
        result.home = [text('.readings'), chart.getAttribute('aria-valuetext')];
        press(chart, 'ArrowRight');
        result.right = text('.readings');
        press(chart, 'Escape');
        result.escape = text('.readings');
        const box = chart.getBoundingClientRect();
        chart.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + 60, clientY: box.top + 50 }));
        result.pointer = text('.readings');
        chart.dispatchEvent(new PointerEvent('pointerleave'));
        result.left = text('.readings');

        result.title = document.title;
        result.status = text('#status');
        result.differs = [...document.querySelectorAll('.differs th')].map((th) => th.textContent);
        result.command = text('pre');
        result.headings = [...document.querySelectorAll('h2')].map((node) => node.textContent);
        result.wide = document.documentElement.scrollWidth > innerWidth;
        ",
    );
    assert_eq!(found["errors"], json!([]));
    let both = |step: &str| json!([["reconstructions", step, true], ["samples", step, true]]);
    assert_eq!(found["newest"], both("30"));
    assert_eq!(found["before"], both("20"));
    assert_eq!(found["says"], json!(["step 20", "step 20"]));
    assert_eq!(found["first"], both("10"));
    // What is read off is what the metrics say, two digits of it.
    let metrics = place.metrics("run");
    let of = |split: &str, step: u64| {
        let mut lines = metrics.iter();
        let line = lines.find(|line| line["split"] == split && line["step"] == step);
        let line = line.unwrap();
        ["loss", "squared_error", "kl"].map(|key| format!("{:.2}", line[key].as_f64().unwrap()))
    };
    let holds = |text: &Value, values: [String; 3]| {
        let text = text.as_str().unwrap();
        values.iter().all(|value| text.contains(value))
    };
    assert!(holds(&found["end"], of("train", 30)) && holds(&found["end"], of("test", 30)));
    assert!(holds(&found["home"][0], of("train", 10)), "{found}");
    assert!(holds(&found["home"][1], of("train", 10)), "{found}");
    assert!(holds(&found["right"], of("train", 20)) && holds(&found["right"], of("test", 20)));
    assert_eq!(found["escape"], found["end"]);
    assert!(holds(&found["pointer"], of("train", 10)), "{found}");
    assert_eq!(found["left"], found["end"]);

    assert_eq!(found["status"], "step 30 of 30");
    let title = found["title"].as_str().unwrap();
    assert!(
        title.starts_with("IDX files, ") && title.contains("latent_dim 3"),
        "{title}"
    );
    let differs = found["differs"].as_array().unwrap();
    for key in ["● beta", "● encoder", "● latent_dim", "● steps"] {
        assert!(differs.contains(&json!(key)), "{key}: {differs:?}");
    }
    assert!(!differs.contains(&json!("● seed")));
    assert_eq!(found["wide"], false);
    assert_eq!(found["headings"].as_array().unwrap().len(), 4, "{found}");
}

#[test]
fn the_command_on_the_page_makes_the_same_run() {
    let place = Place::new();
    place.ok("train --config tiny.json --out run --seed 5");
    let command = said(&place, "run/report.html")["command"]
        .as_str()
        .unwrap()
        .to_string();
    let program = format!("vae() {{ '{}' \"$@\"; }}\n", env!("CARGO_BIN_EXE_vae"));
    let script = program + &command.replacen("vae train", "vae train --out again", 1);
    let mut shell = std::process::Command::new("sh");
    let shell = shell.args(["-ec", &script]).current_dir(place.path(""));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    place.assert_same("again", "run");
}

#[test]
fn a_training_page_follows_until_the_run_ends() {
    let place = Place::new();
    place.ok("train --config tiny.json --out run");
    assert_eq!(said(&place, "run/report.html")["live"], false);
    // One that is killed leaves the page of its last evaluation.
    let mut command = place.command("train --config tiny.json --steps 1000000 --out cut");
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    while !place.path("cut/report.html").exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let page = said(&place, "cut/report.html");
    assert_eq!(page["live"], true);
    assert!(page["step"].as_u64().unwrap() >= 20);
    if browser().is_none() {
        return;
    }
    // It is loaded again, and is as who looks at it left it.
    let found = acted_on(
        &place,
        "cut/report.html",
        "
        const slider = document.querySelector('#slider');
        result.status = text('#status');
        if (!sessionStorage.getItem('again')) {
            sessionStorage.setItem('again', 'yes');
            slider.value = 1;
            slider.dispatchEvent(new Event('input'));
            slider.focus();
            scrollTo(0, 300);
            const [[load, milliseconds]] = intervals;
            sessionStorage.setItem('every', milliseconds);
            load();
        } else {
            result.again = [Number(slider.value), scrollY, document.activeElement.id, sessionStorage.getItem('every')];
        }
        ",
    );
    assert_eq!(found["errors"], json!([]));
    assert_eq!(found["again"], json!([1, 300, "slider", "5000"]));
    let status = found["status"].as_str().unwrap();
    assert!(
        status.ends_with("; in training, this page follows"),
        "{status}"
    );
}

#[test]
fn what_evaluate_says_is_on_the_page_as_long_as_it_is_of_these_weights() {
    let place = Place::with_model();
    assert_eq!(said(&place, "run/report.html")["evaluation"], Value::Null);
    let line = "evaluate --json --model run --importance-samples 8 --samples 20";
    let printed: Value = serde_json::from_str(&place.ok(line).stdout).unwrap();
    let page = said(&place, "run/report.html");
    assert_eq!(page["evaluation"], printed);
    assert_eq!(place.json("run/evaluation.json")["evaluation"], printed);
    if browser().is_some() {
        let script = "
            result.bars = [...document.querySelectorAll('.bars li')].map((node) => node.textContent);
            result.text = text('main');";
        let found = acted_on(&place, "run/report.html", script);
        assert_eq!(found["errors"], json!([]));
        let bars = found["bars"].as_array().unwrap();
        let first = &printed["dimensions"][0];
        let expected = format!("{}{:.2}", first["dimension"], first["kl"].as_f64().unwrap());
        assert_eq!((bars.len(), &bars[0]), (3, &json!(expected)));
        for words in [
            "drawings from the posterior",
            "8 samples",
            "Of 50 test images",
        ] {
            assert!(
                found["text"].as_str().unwrap().contains(words),
                "no `{words}` in {found}"
            );
        }
    }
    // Other images say nothing of the run's own.
    let kept = place.files("run");
    place.ok("evaluate --model run --split train --importance-samples 0 --samples 0");
    assert!(place.files("run") == kept);

    // More steps make other weights, of which nothing was said.
    place.ok("train --resume run --steps 45");
    let page = said(&place, "run/report.html");
    assert_eq!(
        (&page["evaluation"], &page["step"]),
        (&Value::Null, &json!(45))
    );
    place.ok("report run");
    let page = said(&place, "report.html");
    assert_eq!(
        (&page["evaluation"], &page["outdated"]),
        (&Value::Null, &json!(true))
    );
    // What a training writes does not depend on who evaluated it before.
    place.ok("train --config tiny.json --out plain --steps 30");
    place.ok("train --resume plain --steps 45");
    assert!(place.read("plain/report.html") == place.read("run/report.html"));
}

#[cfg(unix)]
#[test]
fn a_run_that_cannot_be_written_is_evaluated_all_the_same() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::with_model();
    let before = place.files("run");
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path("run"), permissions).unwrap();
    };
    mode(0o555);
    let writable = std::fs::write(place.path("run/probe"), "").is_ok();
    if writable {
        // The administrator may write anywhere: something else has to be in the way.
        std::fs::remove_file(place.path("run/probe")).unwrap();
        mode(0o755);
        std::fs::create_dir_all(place.path("run/evaluation.json/in/the/way")).unwrap();
    }
    let outcome = place.ok("evaluate --model run --importance-samples 0 --samples 0");
    assert!(outcome.stdout.contains("latent dimensions are active"));
    assert!(
        outcome
            .stderr
            .contains("these figures are not kept in the run: "),
        "{outcome:?}"
    );
    mode(0o755);
    assert!(place.files("run") == before);
}

/// Two runs of one likelihood, one of which is better; one of another, and one that was not tested.
fn several(place: &Place) {
    place.ok("train --quiet --config tiny.json --out runs/a-worse --steps 4");
    place.ok("train --quiet --config tiny.json --out runs/b-better --steps 40");
    place.config("other.json", &[("/likelihood", json!("bernoulli"))]);
    place.ok("train --quiet --config other.json --out runs/c-other --steps 4");
    std::fs::create_dir(place.path("runs/d-begun")).unwrap();
    place.write(
        "runs/d-begun/config.json",
        place.read("runs/a-worse/config.json"),
    );
    place.write("runs/none/notes.txt", "no run");
}

#[test]
fn runs_are_side_by_side_with_the_best_first() {
    let place = Place::new();
    several(&place);
    let outcome = place.ok("report");
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("report.html\n", "")
    );
    let page = said(&place, "report.html");
    let groups = page["groups"].as_array().unwrap();
    let names = |group: &Value| -> Vec<String> {
        let runs = group["runs"].as_array().unwrap().iter();
        runs.map(|run| run["name"].as_str().unwrap().into())
            .collect()
    };
    let kinds: Vec<_> = groups.iter().map(names).collect();
    let of = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("runs/{name}"))
            .collect::<Vec<_>>()
    };
    assert!(
        kinds.contains(&of(&["b-better", "a-worse", "d-begun"])),
        "{kinds:?}"
    );
    assert!(kinds.contains(&of(&["c-other"])), "{kinds:?}");
    assert!(
        page["notes"][0]
            .as_str()
            .unwrap()
            .contains("do not compare")
    );

    let outcome = place.ok("report runs/a-worse runs/b-better two.HTML");
    assert_eq!(outcome.stdout, "two.HTML\n");
    if browser().is_none() {
        return;
    }
    let found = acted_on(
        &place,
        "two.HTML",
        "
        const cells = (row) => [...row.cells].map((cell) => cell.textContent);
        result.ranking = [...document.querySelectorAll('.ranking tr')].map(cells);
        result.pictures = [...document.querySelectorAll('.gallery figure')].map((node) =>
            [node.textContent, node.querySelector('img').checkVisibility()]);
        const charts = document.querySelectorAll('.chart');
        result.charts = [...charts].map((chart) => chart.querySelectorAll('path').length);
        press(charts[0], 'Home');
        result.home = text('.readings');
        result.guides = document.querySelectorAll('.guide').length;
        result.title = document.title;
        ",
    );
    assert_eq!(found["errors"], json!([]));
    assert_eq!(found["title"], "2 runs – vae");
    let head = json!(["", "run", "test loss", "squared error", "KL", "steps"]);
    assert_eq!(found["ranking"][0], head);
    for (row, (name, steps)) in [("runs/b-better", 40), ("runs/a-worse", 4)]
        .iter()
        .enumerate()
    {
        let metrics = place.metrics(name);
        let loss = metrics.last().unwrap()["loss"].as_f64().unwrap();
        let cells = &found["ranking"][row + 1];
        let steps = steps.to_string();
        assert_eq!(cells[0], (row + 1).to_string());
        assert_eq!(cells[1], *name);
        assert_eq!(cells[2], format!("{loss:.2}"));
        assert_eq!(cells[5], *steps);
        assert_eq!(
            found["pictures"][row],
            json!([format!("{name}, step {steps}"), true])
        );
    }
    // A line for each run and split in each of three charts, and a guide through all of them.
    assert_eq!(found["charts"], json!([4, 4, 4]));
    assert_eq!(found["guides"], 3);
    assert!(
        found["home"].as_str().unwrap().contains("at step 4"),
        "{found}"
    );
}

#[test]
fn names_are_text_whatever_they_hold() {
    let place = Place::new();
    // A slash apart, a path may hold all that there is.
    let name = "<script>alert(1)<_script><img src=x onerror=alert(2)>&amp;".to_string();
    let folder = place.path(&name);
    std::fs::rename(place.path("data"), &folder).unwrap();
    place.config("evil.json", &[("/data", json!(folder))]);
    let run = format!("runs {name}");
    for seed in ["1", "2"] {
        let mut command = place.command("train --quiet --config evil.json --steps 2 --out");
        command
            .arg(format!("{run}/{seed}{name}"))
            .args(["--seed", seed]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let own = format!("{run}/1{name}");
    // As somebody else might have written it.
    let path = format!("{own}/config.json");
    let mut config = place.json(&path);
    config["provenance"]["dataset"] = json!("</script><script>alert(3)</script>");
    config["labels"] = json!(["<script>alert(4)</script>"]);
    place.write(&path, config.to_string());
    let kept = json!({"model_sha256": ModelName::Path(place.path(&own)).sha256().unwrap(),
        "evaluation": {"dataset": "<script>alert(5)</script>", "split": {"a": 1}, "dimensions": [{"kl": "<b>"}],
                       "samples": {"drawings": "none"}}});
    place.write(&format!("{own}/evaluation.json"), kept.to_string());

    let output = place
        .command("report")
        .args([&run, "all.html"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = place
        .command("report")
        .args([&own, "one.html"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    for page in ["all.html", "one.html"] {
        let html = place.text(page);
        assert_eq!(html.matches("<script").count(), 2, "{page}");
        assert!(!html.contains("<script>alert"), "{page}");
        if browser().is_none() {
            continue;
        }
        let found = acted_on(
            &place,
            page,
            "result.text = text('main'); result.inside = document.querySelectorAll('main script, main img[src=x], main b').length;",
        );
        assert_eq!(found["errors"], json!([]), "{page}");
        assert_eq!(found["inside"], 0, "{page}");
        let text = found["text"].as_str().unwrap();
        let mut expected = vec![name.as_str(), "</script><script>alert(3)</script>"];
        if page == "one.html" {
            expected.extend(["<script>alert(4)</script>", "<script>alert(5)</script>"]);
        }
        for words in expected {
            assert!(text.contains(words), "{page}: no `{words}` in {text}");
        }
    }
}

#[test]
fn many_pictures_and_lines_make_no_large_page() {
    let place = Place::with_model();
    // As many as a training of 100,000 steps leaves.
    let [strip, samples] = ["reconstructions", "samples"]
        .map(|kind| place.read(&format!("run/{kind}/step-000010.png")));
    let mut lines = String::new();
    for step in (200..=100_000).step_by(200) {
        place.write(&format!("run/reconstructions/step-{step:06}.png"), &strip);
        place.write(&format!("run/samples/step-{step:06}.png"), &samples);
    }
    for step in (10..=100_000).step_by(10) {
        let loss = 28.123456789 + 1000.0 / step as f64;
        let losses = format!("\"loss\":{loss},\"squared_error\":{loss},\"kl\":11.5");
        lines +=
            &format!("{{\"step\":{step},\"split\":\"train\",{losses},\"learning_rate\":0.001}}\n");
        lines += &format!("{{\"step\":{step},\"split\":\"test\",{losses}}}\n");
    }
    place.write("run/metrics.jsonl", lines);
    place.ok("report run");
    let html = place.text("report.html");
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    let page = said(&place, "report.html");
    for split in ["train", "test"] {
        let steps = page["curves"][split]["step"].as_array().unwrap();
        assert_eq!((steps.len(), &steps[999]), (1000, &json!(100_000)));
    }
    let steps = |kind: &str| -> Vec<u64> {
        let images = html
            .lines()
            .filter(|line| line.starts_with("<img") && line.contains(kind));
        images
            .map(|line| line.split('"').nth(3).unwrap().parse().unwrap())
            .collect()
    };
    let shown = steps("samples");
    assert_eq!(shown, steps("reconstructions"));
    assert_eq!((shown.len(), shown[39]), (40, 100_000));
    // Of large ones there is room for fewer, but for the newest.
    let large = [&strip[..], &vec![0; 1_000_000]].concat();
    for step in (200..=100_000).step_by(200) {
        place.write(&format!("run/samples/step-{step:06}.png"), &large);
    }
    place.ok("report run");
    let html = place.text("report.html");
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    assert!(html.contains("data-step=\"100000\" data-kind=\"samples\""));
}

#[test]
fn what_is_no_run_is_refused() {
    let place = Place::with_model();
    place.refused("report", 2, "error: runs: does not exist");
    place.refused("report data", 2, "error: data: holds no run");
    place.refused(
        "report tiny.json",
        2,
        "is neither a run directory nor an .html file",
    );
    place.refused(
        "report run nowhere out.html",
        2,
        "error: nowhere: does not exist",
    );
    place.refused(
        "report run/config.json",
        2,
        "hint: give its directory: vae report run",
    );
    place.refused("report out.html run", 2, "error: out.html: does not exist");
    place.refused("report run nowhere/", 2, "error: nowhere/: does not exist");
    place.write("run/metrics.jsonl", "no metric\n");
    place.refused("report run", 2, "metrics.jsonl line 1");
    place.write("run/config.json", "{\"stepz\": 1}");
    place.refused("report run", 2, "unknown field `stepz`");
}
