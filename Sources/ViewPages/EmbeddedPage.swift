// Written by scripts/embed-page from page/ and clients/javascript. Do not edit.

/// The operator's page, byte for byte: no build step, nothing from elsewhere.
enum EmbeddedPage {
  static let index = ##"""
    <!doctype html>
    <html lang="en" data-theme="auto">
    <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>Bulkhead</title>
      <link rel="icon" href="/icon.svg" type="image/svg+xml">
      <link rel="stylesheet" href="/page.css">
      <script type="module" src="/page.js"></script>
    </head>
    <body data-contact="none">
      <a class="skip" href="#flow">Skip to the flow</a>

      <header id="verdict" data-verdict="none">
        <div class="word">
          <span class="mark" aria-hidden="true"></span>
          <h1 id="verdict-word" role="status" aria-live="assertive">CONNECTING</h1>
        </div>
        <div class="why">
          <p id="verdict-reason">waiting for the first look at the set</p>
          <p id="verdict-more" class="quiet"></p>
        </div>
        <dl class="facts">
          <div><dt>set</dt><dd id="fact-set">–</dd></div>
          <div><dt>host</dt><dd id="fact-host">–</dd></div>
          <div><dt>version</dt><dd id="fact-version">–</dd></div>
          <div><dt>configuration</dt><dd id="fact-configuration" class="number">–</dd></div>
          <div><dt>epoch</dt><dd id="fact-epoch" class="number">–</dd></div>
          <div><dt>clock</dt><dd id="fact-clock" class="number">–</dd></div>
          <div><dt>data age</dt><dd id="fact-data" class="number">–</dd></div>
          <div><dt>seen</dt><dd id="fact-seen" class="number">–</dd></div>
        </dl>
      </header>

      <main>
        <section id="flow" aria-labelledby="flow-title">
          <div class="head"><h2 id="flow-title">Flow</h2><p class="quiet" id="flow-note"></p></div>
          <div class="flow" id="flow-grid"></div>
        </section>

        <section id="lines" aria-labelledby="lines-title">
          <div class="head"><h2 id="lines-title">Lines</h2><p class="quiet" id="lines-note"></p></div>
          <div class="lines" id="lines-body"></div>
        </section>

        <section id="gaps" aria-labelledby="gaps-title">
          <div class="head"><h2 id="gaps-title">Gaps</h2><p class="quiet" id="gaps-note"></p></div>
          <canvas id="gaps-canvas" height="132" role="img" aria-label="Missing ranges of the last minute"></canvas>
          <ul class="key" id="gaps-key"></ul>
          <table class="rows" id="gaps-table">
            <thead><tr><th>range</th><th class="right">messages</th><th class="right">took</th><th>how</th></tr></thead>
            <tbody></tbody>
          </table>
        </section>

        <section id="latency" aria-labelledby="latency-title">
          <div class="head"><h2 id="latency-title">Latency</h2><p class="quiet">kernel stamp to output, last 10 s</p></div>
          <div class="waterfall" id="latency-body"></div>
          <p class="quiet heat-head"><span id="latency-heat-title"></span> <a id="latency-hgrm" href="#latency">copy .hgrm</a></p>
          <canvas id="latency-heat" role="img" aria-label="Latency over the last fifteen minutes"></canvas>
        </section>

        <section id="ladder" aria-labelledby="ladder-title">
          <div class="head">
            <h2 id="ladder-title">Book</h2>
            <form id="ladder-form" role="search">
              <label class="hidden" for="ladder-symbol">Symbol</label>
              <input id="ladder-symbol" list="ladder-symbols" autocomplete="off" spellcheck="false" maxlength="8" placeholder="symbol">
              <datalist id="ladder-symbols"></datalist>
            </form>
            <form id="ladder-token-form" hidden>
              <label class="hidden" for="ladder-token">Token</label>
              <input id="ladder-token" type="password" autocomplete="off" placeholder="token of pubd">
            </form>
            <p class="quiet" id="ladder-note"></p>
          </div>
          <div class="book" id="ladder-book" data-trust="no">
            <table>
              <thead>
                <tr><th class="right">orders</th><th class="right">bid size</th><th class="right">bid</th>
                  <th>ask</th><th>ask size</th><th>orders</th></tr>
              </thead>
              <tbody id="ladder-rows"></tbody>
            </table>
            <div class="stamp" id="ladder-stamp" hidden><strong>STALE</strong><span></span></div>
          </div>
          <dl class="facts small" id="ladder-facts"></dl>
        </section>

        <section id="clients" aria-labelledby="clients-title">
          <div class="head"><h2 id="clients-title">Clients</h2><p class="quiet" id="clients-note"></p></div>
          <table class="rows" id="clients-table">
            <thead><tr><th>client</th><th class="right">waiting</th><th class="right">sent</th><th class="right">since</th><th>state</th></tr></thead>
            <tbody></tbody>
          </table>
          <p class="quiet empty" id="clients-empty">nobody is connected</p>
        </section>

        <section id="cores" aria-labelledby="cores-title">
          <div class="head"><h2 id="cores-title">Cores</h2><p class="quiet" id="cores-note"></p></div>
          <div class="cores" id="cores-body"></div>
        </section>

        <section id="events" aria-labelledby="events-title">
          <div class="head"><h2 id="events-title">Events</h2><p class="quiet">what the supervisor did and saw</p></div>
          <ol class="events" id="events-list" tabindex="0" aria-label="Events, newest first"></ol>
        </section>
      </main>

      <footer>
        <span>read-only</span>
        <span><kbd>/</kbd> symbol</span><span><kbd>f</kbd> freeze book</span><span><kbd>l</kbd> levels</span><span><kbd>p</kbd> pause</span>
        <span><kbd>t</kbd> theme</span><span><kbd>1</kbd>–<kbd>8</kbd> sections</span><span><kbd>?</kbd> help</span>
        <a href="/runbooks">runbooks</a><a href="/metrics">metrics</a><a href="/v1/status">status</a><a href="/readyz">ready?</a>
      </footer>

      <dialog id="help" aria-labelledby="help-title">
        <h2 id="help-title">Keys</h2>
        <dl>
          <div><dt><kbd>/</kbd></dt><dd>choose the symbol of the book</dd></div>
          <div><dt><kbd>f</kbd></dt><dd>freeze the book, and let it go on</dd></div>
          <div><dt><kbd>l</kbd></dt><dd>10 or 20 levels of the book</dd></div>
          <div><dt><kbd>p</kbd></dt><dd>pause the page, and let it go on</dd></div>
          <div><dt><kbd>←</kbd> <kbd>→</kbd></dt><dd>paused: a second back in the last minute, and forth</dd></div>
          <div><dt><kbd>t</kbd></dt><dd>light, dark, or as the system has it</dd></div>
          <div><dt><kbd>1</kbd> … <kbd>8</kbd></dt><dd>flow, lines, gaps, latency, book, clients, cores, events</dd></div>
          <div><dt><kbd>?</kbd></dt><dd>this</dd></div>
        </dl>
        <p class="quiet">● works &nbsp; ▲ on its way &nbsp; ■ stands &nbsp; ✕ dead. Colours repeat what words and shapes say.</p>
        <form method="dialog"><button>close</button></form>
      </dialog>
    </body>
    </html>

    """##

  static let style = ##"""
    /* Colours: bluish green, amber, vermilion and sky of the palette of Okabe and Ito; every one of them comes with a word or a shape. */
    :root {
      color-scheme: light;
      --ground: #f4f5f3; --card: #ffffff; --line: #e1e4e1; --ink: #14201f; --soft: #5c6866; --faint: #98a3a1; --track: #e9ecea;
      --good: #00805f; --good-ground: #e2f3ed; --warn: #a86500; --warn-ground: #fdf1dc; --bad: #b84a00; --bad-ground: #fde8dc;
      --info: #0067a3; --violet: #9a4f7f; --bid: #0067a3; --ask: #b84a00; --flash: #ffe9a8;
      --shadow: 0 1px 2px rgb(20 32 31 / 6%), 0 4px 16px rgb(20 32 31 / 4%);
      font: 14px/1.4 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
    }
    @media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) {
      color-scheme: dark;
      --ground: #0d1214; --card: #151c1f; --line: #263035; --ink: #e6eceb; --soft: #9aa8a7; --faint: #63716f; --track: #222c30;
      --good: #3fc9a0; --good-ground: #10302a; --warn: #f0b03c; --warn-ground: #352910; --bad: #ff8a4c; --bad-ground: #3d2114;
      --info: #5fb8ee; --violet: #dd93bf; --bid: #5fb8ee; --ask: #ff8a4c; --flash: #4a4220; --shadow: none;
    } }
    :root[data-theme="dark"] {
      color-scheme: dark;
      --ground: #0d1214; --card: #151c1f; --line: #263035; --ink: #e6eceb; --soft: #9aa8a7; --faint: #63716f; --track: #222c30;
      --good: #3fc9a0; --good-ground: #10302a; --warn: #f0b03c; --warn-ground: #352910; --bad: #ff8a4c; --bad-ground: #3d2114;
      --info: #5fb8ee; --violet: #dd93bf; --bid: #5fb8ee; --ask: #ff8a4c; --flash: #4a4220; --shadow: none;
    }

    * { box-sizing: border-box; }
    body { margin: 0; background: var(--ground); color: var(--ink); font-variant-numeric: tabular-nums; }
    h1, h2, p, dl, dd, ul, ol { margin: 0; padding: 0; }
    ul, ol { list-style: none; }
    h2 { font-size: 12px; font-weight: 650; letter-spacing: .09em; text-transform: uppercase; color: var(--soft); }
    .quiet { color: var(--soft); font-size: 12.5px; }
    .number { font-variant-numeric: tabular-nums; }
    .right { text-align: right; }
    .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    .skip { position: absolute; left: -999px; }
    .skip:focus { left: 12px; top: 12px; z-index: 9; background: var(--card); padding: 8px 12px; border-radius: 8px; }
    :focus-visible { outline: 2px solid var(--info); outline-offset: 2px; }
    a { color: var(--info); text-decoration: none; }
    a:hover { text-decoration: underline; }
    kbd { font: 600 11px/1 ui-monospace, "DejaVu Sans Mono", monospace; border: 1px solid var(--line); border-bottom-width: 2px;
      border-radius: 4px; padding: 2px 5px; background: var(--card); }

    /* Verdict */
    header { position: sticky; top: 0; z-index: 5; display: flex; align-items: center; gap: 28px; padding: 14px 24px; background: var(--card);
      border-bottom: 1px solid var(--line); box-shadow: var(--shadow); --tone: var(--soft); --tone-ground: var(--track); }
    header::before { content: ""; position: absolute; inset: 0 auto 0 0; width: 6px; background: var(--tone); }
    header[data-verdict="LIVE"] { --tone: var(--good); --tone-ground: var(--good-ground); }
    header[data-verdict="DEGRADED"] { --tone: var(--warn); --tone-ground: var(--warn-ground); }
    header[data-verdict="STALE"], header[data-verdict="DOWN"] { --tone: var(--bad); --tone-ground: var(--bad-ground); }
    .word { display: flex; align-items: center; gap: 10px; padding: 8px 18px 8px 14px; border-radius: 10px; background: var(--tone-ground); color: var(--tone); }
    .word h1 { font-size: 22px; line-height: 1.1; font-weight: 750; letter-spacing: .04em; white-space: nowrap; }
    .mark { width: 14px; height: 14px; background: currentcolor; border-radius: 50%; flex: none; }
    header[data-verdict="DEGRADED"] .mark { border-radius: 0; clip-path: polygon(50% 0, 100% 100%, 0 100%); }
    header[data-verdict="STALE"] .mark { border-radius: 0; }
    header[data-verdict="DOWN"] .mark { border-radius: 0; clip-path: polygon(20% 0, 50% 30%, 80% 0, 100% 20%, 70% 50%, 100% 80%, 80% 100%, 50% 70%, 20% 100%, 0 80%, 30% 50%, 0 20%); }
    .why { min-width: 0; flex: 1; }
    #verdict-reason { font-weight: 550; font-size: 15px; overflow-wrap: anywhere; }
    .facts { display: flex; gap: 22px; flex-wrap: wrap; }
    .facts dt { font-size: 10.5px; letter-spacing: .06em; text-transform: uppercase; color: var(--faint); }
    .facts dd { font-size: 13px; white-space: nowrap; }
    .facts.small { gap: 18px; padding-top: 10px; min-height: 44px; }

    dd.warn, p.warn { color: var(--warn); font-weight: 600; }
    .events .what a { color: inherit; text-decoration: underline; text-decoration-color: var(--faint); text-underline-offset: 2px; }

    /* Runbooks */
    .runbook article { max-width: 78ch; margin: 0 auto; padding: 32px 24px; font-size: 15px; line-height: 1.55; }
    .runbook h1 { font-size: 22px; margin: 0 0 10px; }
    .runbook h2 { margin: 22px 0 6px; }
    .runbook p { margin: 0 0 8px; }
    .runbook ul { list-style: disc; padding-left: 22px; }
    .runbook code { font: 13px/1.4 ui-monospace, "DejaVu Sans Mono", monospace; background: var(--track); border-radius: 4px; padding: 1px 5px; overflow-wrap: anywhere; }

    /* Lost contact: nothing old may look live */
    body[data-contact="lost"] header { --tone: var(--soft); --tone-ground: var(--track); }
    body[data-contact="lost"] main { filter: grayscale(1); opacity: .45; }
    body[data-contact="lost"] .mark { clip-path: none; border-radius: 50%; background: none; border: 2px solid currentcolor; }
    body[data-paused="yes"] main { opacity: .8; }

    /* Sections */
    main { display: grid; grid-template-columns: repeat(12, minmax(0, 1fr)); gap: 16px; padding: 16px 24px; max-width: 1720px; margin: 0 auto; transition: opacity .15s; }
    section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px 16px; box-shadow: var(--shadow); min-width: 0; scroll-margin-top: 96px; }
    .head { display: flex; align-items: baseline; gap: 12px; margin-bottom: 12px; min-height: 20px; }
    .head > .quiet { margin-left: auto; text-align: right; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
    #flow { grid-column: 1 / -1; }
    #lines { grid-column: span 3; }
    #gaps { grid-column: span 5; }
    #latency { grid-column: span 4; }
    #ladder { grid-column: span 5; }
    #clients { grid-column: span 4; }
    #cores { grid-column: span 3; }
    #events { grid-column: 1 / -1; }

    /* Flow */
    .flow { display: grid; grid-template-columns: 84px minmax(0, 1fr) minmax(0, .9fr) minmax(0, 1fr) minmax(0, .9fr) minmax(0, 1fr) minmax(0, .9fr) minmax(0, 1fr) 84px;
      gap: 12px 0; align-items: center; }
    .node { --tone: var(--faint); border: 1px solid var(--line); border-left: 4px solid var(--tone); border-radius: 9px; padding: 8px 10px; min-width: 0; transition: background .3s; }
    .node[data-state="good"] { --tone: var(--good); }
    .node[data-state="way"] { --tone: var(--warn); background: var(--warn-ground); }
    .node[data-state="dead"], .node[data-state="stands"] { --tone: var(--bad); background: var(--bad-ground); }
    .node.new { background: var(--warn-ground); }
    .node .top { display: flex; align-items: baseline; gap: 6px; }
    .node .shape { color: var(--tone); font-size: 11px; width: 12px; text-align: center; }
    .node .name { font-weight: 650; }
    .node .state { margin-left: auto; font-size: 11px; letter-spacing: .03em; color: var(--tone); font-weight: 600; }
    .node .big { font-size: 18px; font-weight: 600; line-height: 1.25; white-space: nowrap; }
    .node .big small { font-size: 12px; font-weight: 450; color: var(--soft); }
    .node .line { font-size: 12px; color: var(--soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
    .node.slim { padding: 6px 10px; }
    .end { text-align: center; font-size: 12px; color: var(--soft); }
    .end strong { display: block; font-size: 16px; color: var(--ink); font-weight: 650; }
    .end[data-up="no"] strong { color: var(--bad); }
    .edge { padding: 0 10px; min-width: 0; }
    .edge .names { display: flex; justify-content: space-between; gap: 6px; font-size: 12px; white-space: nowrap; }
    .edge .names b { font-weight: 600; }
    .edge .names span { overflow: hidden; text-overflow: ellipsis; color: var(--soft); }
    .bar { position: relative; height: 8px; margin: 4px 0; border-radius: 4px; background: var(--track); overflow: hidden; }
    .bar > i { position: absolute; inset: 0 auto 0 0; width: 0; background: var(--good); border-radius: 4px; transition: width .12s linear; }
    .bar > u { position: absolute; top: 0; bottom: 0; width: 2px; background: var(--soft); }
    .bar[data-level="70"] > i { background: var(--warn); }
    .bar[data-level="85"] > i { background: repeating-linear-gradient(45deg, var(--warn) 0 4px, var(--bad) 4px 8px); }
    .bar[data-level="95"] > i { background: var(--bad); }
    .edge .arrow { position: relative; }
    .edge .arrow::after { content: ""; position: absolute; right: -9px; top: -1px; border: 5px solid transparent; border-left: 7px solid var(--faint); border-right: 0; }
    .edge .detail { font-size: 11.5px; color: var(--soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }

    /* Where the parts of the flow stand; on a narrow screen one under the other. */
    [data-place="line-a"] { grid-area: 1 / 1; } [data-place="rxd@a"] { grid-area: 1 / 2; } [data-place="rx_a"] { grid-area: 1 / 3; }
    [data-place="line-b"] { grid-area: 2 / 1; } [data-place="rxd@b"] { grid-area: 2 / 2; } [data-place="rx_b"] { grid-area: 2 / 3; }
    [data-place="merged"] { grid-area: 1 / 4 / 3 / 5; } [data-place="merged-bookd"] { grid-area: 1 / 5 / 3 / 6; }
    [data-place="bookd"] { grid-area: 1 / 6 / 3 / 7; } [data-place="book-pubd"] { grid-area: 1 / 7 / 3 / 8; }
    [data-place="pubd"] { grid-area: 1 / 8 / 3 / 9; } [data-place="clients"] { grid-area: 1 / 9 / 3 / 10; }
    [data-place="watchdogd"] { grid-area: 3 / 2; } [data-place="merged-taped"] { grid-area: 3 / 5; } [data-place="taped"] { grid-area: 3 / 6; }
    [data-place="viewd"] { grid-area: 3 / 8; }

    /* Lines */
    .lines { display: grid; gap: 14px; }
    .feed .top { display: flex; align-items: baseline; gap: 8px; margin-bottom: 4px; }
    .feed .top b { font-size: 17px; }
    .feed .up { font-size: 11px; font-weight: 700; letter-spacing: .05em; padding: 1px 7px; border-radius: 99px; color: var(--good); background: var(--good-ground); }
    .feed[data-up="no"] .up { color: var(--bad); background: var(--bad-ground); }
    .feed .top .rate { margin-left: auto; font-size: 17px; font-weight: 600; }
    .feed .top small { color: var(--soft); font-weight: 450; font-size: 12px; }
    .feed canvas { width: 100%; height: 34px; display: block; margin: 2px 0 6px; }
    .pairs { display: grid; grid-template-columns: auto 1fr auto 1fr; gap: 1px 10px; font-size: 12px; }
    .pairs dt { color: var(--soft); white-space: nowrap; }
    .pairs dd { text-align: right; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }

    /* Gaps */
    #gaps-canvas { width: 100%; height: 132px; display: block; }
    .key { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 12px; color: var(--soft); margin: 8px 0; }
    .key i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; vertical-align: -1px; }
    .key b { color: var(--ink); font-weight: 600; }
    .rows { width: 100%; border-collapse: collapse; font-size: 12.5px; table-layout: fixed; }
    .rows th { font-weight: 500; text-align: left; color: var(--faint); font-size: 11px; padding: 3px 8px 3px 0; border-bottom: 1px solid var(--line); }
    .rows th.right { text-align: right; }
    .rows td { padding: 3px 8px 3px 0; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
    .rows tr + tr td { border-top: 1px solid color-mix(in srgb, var(--line) 55%, transparent); }
    .rows th:first-child { width: 38%; }
    #gaps-table th:nth-child(2) { width: 15%; } #gaps-table th:nth-child(3) { width: 17%; }
    #clients-table th:first-child { width: 33%; } #clients-table th:last-child { width: 21%; }
    td.bad { color: var(--bad); font-weight: 600; }
    td.warn { color: var(--warn); font-weight: 600; }
    .empty { padding: 10px 0; }

    /* Latency */
    .stage { display: grid; grid-template-columns: 62px 1fr 74px; gap: 10px; align-items: center; padding: 7px 0; }
    .stage + .stage { border-top: 1px solid color-mix(in srgb, var(--line) 60%, transparent); }
    .stage .name { font-weight: 600; }
    .stage .p99 { text-align: right; font-weight: 600; white-space: nowrap; }
    .stage .p99 small { display: block; font-weight: 450; color: var(--soft); font-size: 11px; }
    .scale { position: relative; height: 20px; background: var(--track); border-radius: 5px; overflow: hidden; }
    .scale > i { position: absolute; top: 0; bottom: 0; }
    .scale .half { background: color-mix(in srgb, var(--info) 85%, transparent); }
    .scale .most { background: color-mix(in srgb, var(--info) 45%, transparent); }
    .scale .tail { background: color-mix(in srgb, var(--info) 20%, transparent); }
    .scale .max { width: 2px; background: var(--bad); }
    .stage .under { grid-column: 2 / 4; font-size: 11.5px; color: var(--soft); margin-top: -4px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
    .axis { display: grid; grid-template-columns: 62px 1fr 74px; gap: 10px; font-size: 10.5px; color: var(--faint); }
    .axis div { position: relative; height: 14px; }
    .axis span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
    .axis span:first-child { transform: none; }

    #latency-heat { width: 100%; height: 110px; display: block; }
    .heat-head { display: flex; justify-content: space-between; gap: 12px; margin: 8px 0 4px; }
    .stage .name { cursor: pointer; }
    .stage[data-chosen="yes"] .name { text-decoration: underline; text-underline-offset: 3px; }

    /* Book */
    #ladder-token-form[hidden] { display: none; }
    #ladder-token-form input { width: 13em; font: 600 13px/1 ui-monospace, "DejaVu Sans Mono", monospace; padding: 5px 8px; }
    #ladder-form input { width: 9em; font: 600 13px/1 ui-monospace, "DejaVu Sans Mono", monospace; text-transform: uppercase; padding: 5px 8px;
      border: 1px solid var(--line); border-radius: 7px; background: var(--ground); color: var(--ink); }
    .book { position: relative; }
    .book table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 13px; }
    .book th { font-weight: 500; font-size: 11px; color: var(--faint); text-align: left; padding: 2px 8px; border-bottom: 1px solid var(--line); }
    .book th.right { text-align: right; }
    .book th:first-child, .book th:last-child { width: 12%; }
    .book td { position: relative; padding: 0 8px; height: 23px; white-space: nowrap; }
    .book td.orders { color: var(--soft); }
    .book td.price { font-weight: 650; }
    .book .bidside { color: var(--bid); }
    .book .askside { color: var(--ask); }
    .book td i { position: absolute; top: 3px; bottom: 3px; border-radius: 3px; opacity: .17; }
    .book td.bidsize i { right: 0; background: var(--bid); }
    .book td.asksize i { left: 0; background: var(--ask); }
    .book td.changed { animation: flash .45s ease-out; }
    @keyframes flash { from { background: color-mix(in srgb, var(--flash) 70%, transparent); } to { background: transparent; } }
    .book tbody tr:first-child td { height: 27px; font-size: 14.5px; }
    .stamp { position: absolute; inset: 0; display: grid; place-content: center; text-align: center; gap: 2px; color: var(--bad); pointer-events: none;
      background: repeating-linear-gradient(-45deg, transparent 0 14px, color-mix(in srgb, var(--bad) 9%, transparent) 14px 28px); border-radius: 8px; }
    .stamp[hidden] { display: none; }
    .stamp strong { font-size: 54px; line-height: 1; font-weight: 800; letter-spacing: .14em; text-indent: .14em; }
    .stamp span { font-weight: 600; max-width: 34em; background: var(--card); padding: 2px 12px; border-radius: 99px; justify-self: center; }
    .book[data-trust="no"] tbody { opacity: .45; }

    /* Cores */
    .cores { display: grid; gap: 12px; }
    .core .top { display: flex; justify-content: space-between; font-size: 12.5px; }
    .core .top b { font-weight: 600; }
    .core .who { font-size: 12px; color: var(--soft); display: flex; flex-wrap: wrap; gap: 1px 10px; }
    .core .bar > i { background: var(--info); }
    .core .bar > u { background: repeating-linear-gradient(45deg, var(--bad) 0 3px, transparent 3px 6px); }

    /* Events */
    .events { max-height: 264px; overflow: auto; font-size: 12.5px; }
    .events li { display: grid; grid-template-columns: 20px 108px 92px 160px 1fr; gap: 8px; padding: 3px 4px; align-items: baseline; }
    .events li + li { border-top: 1px solid color-mix(in srgb, var(--line) 55%, transparent); }
    .events .when { color: var(--soft); font-variant-numeric: tabular-nums; }
    .events .who { font-weight: 600; }
    .events li[data-kind="bad"] .what, .events li[data-kind="bad"] .sign { color: var(--bad); font-weight: 600; }
    .events li[data-kind="warn"] .what, .events li[data-kind="warn"] .sign { color: var(--warn); font-weight: 600; }
    .events li[data-kind="good"] .sign { color: var(--good); }
    .events .sign { text-align: center; color: var(--faint); }
    .events .rest { color: var(--soft); overflow-wrap: anywhere; }

    footer { display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: center; padding: 4px 24px 22px; color: var(--soft); font-size: 12px; max-width: 1720px; margin: 0 auto; }
    footer span:first-child { margin-right: auto; }
    dialog { border: 1px solid var(--line); border-radius: 14px; background: var(--card); color: var(--ink); padding: 22px 26px; max-width: 440px; }
    dialog::backdrop { background: rgb(0 0 0 / 45%); }
    dialog dl { margin: 14px 0; display: grid; gap: 8px; }
    dialog dl div { display: grid; grid-template-columns: 84px 1fr; }
    button { font: inherit; margin-top: 14px; padding: 6px 14px; border-radius: 8px; border: 1px solid var(--line); background: var(--ground); color: var(--ink); cursor: pointer; }

    @media (max-width: 1180px) {
      #lines { grid-column: span 5; } #gaps { grid-column: span 7; } #latency { grid-column: span 6; } #ladder { grid-column: span 6; }
      #clients { grid-column: span 7; } #cores { grid-column: span 5; }
      header { flex-wrap: wrap; gap: 12px 20px; }
      .facts { gap: 8px 18px; }
      header .facts { flex-basis: 100%; }
      .flow { grid-template-columns: 64px minmax(0, 1fr) minmax(0, .7fr) minmax(0, 1fr) minmax(0, .7fr) minmax(0, 1fr) minmax(0, .7fr) minmax(0, 1fr) 60px; }
      .edge { padding: 0 6px; }
    }
    @media (max-width: 900px) {
      main { padding: 12px; gap: 12px; }
      header { padding: 12px 16px 12px 20px; position: relative; }
      .flow { grid-template-columns: 60px minmax(0, 1.1fr) minmax(0, 1fr); gap: 8px 0; }
      .flow > * { grid-row: auto !important; }
      .flow > .node { grid-column: 2 !important; } .flow > .edge { grid-column: 3 !important; }
      .flow > .end { grid-column: 1 !important; } .flow > .end.last { grid-column: 3 !important; }
      .events li { grid-template-columns: 18px 96px 72px 1fr; }
      .events .rest { grid-column: 3 / 5; }
      .pairs { grid-template-columns: auto 1fr auto 1fr; }
    }
    @media (max-width: 640px) {
      #lines, #gaps, #latency, #ladder, #clients, #cores { grid-column: 1 / -1; }
      .facts { gap: 6px 16px; }
    }
    @media (prefers-reduced-motion: reduce) { *, *::before { animation: none !important; transition: none !important; } }

    """##

  static let script = ##"""
    // The operator's page: one WebSocket to viewd, ten frames a second, drawn as they come. Nothing old may look live.

    import { LANES, bytes, clock, duration, grouped, heatmap, laneOf, readColours, short, span, sparkline, timeline } from "/drawing.js";
    import { Ladder } from "/ladder.js";

    const element = (id) => document.getElementById(id);
    const MINUTE = 60;
    /** Milliseconds without a frame after which contact is lost. */
    const CONTACT = 600;
    /** A column of the heat map a second, and the power of two of its lowest row. */
    const HEAT_SECONDS = 900;
    const HEAT_FIRST = 10;
    /** Frames to which a paused page can go back: a minute of them; and how many a step is. */
    const PAST_FRAMES = 600;
    const PAST_STEP = 10;

    /** The parts of the flow in its order, for narrow screens and screen readers. */
    const FLOW = [
      "line-a", "rxd@a", "rx_a", "line-b", "rxd@b", "rx_b", "merged", "merged-bookd", "bookd", "book-pubd", "pubd", "clients",
      "taped", "merged-taped", "watchdogd", "viewd",
    ];

    /** Puts a part of the flow where it belongs. */
    function place(box, name) {
      box.dataset.place = name;
      const grid = element("flow-grid");
      const rank = FLOW.indexOf(name);
      grid.insertBefore(box, [...grid.children].find((other) => FLOW.indexOf(other.dataset.place) > rank) ?? null);
    }

    /** Sets a text only when it is another one. */
    function say(node, text) {
      if (node.textContent !== text) node.textContent = text;
    }

    /** An element with a class, a text, and children. */
    function make(tag, className, ...children) {
      const node = document.createElement(tag);
      if (className) node.className = className;
      node.append(...children);
      return node;
    }

    /** A link to what viewd has to say about an event: the runbook of that name. */
    function runbook(name) {
      const link = make("a", "", name);
      link.href = `/runbooks/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
      link.target = "_blank";
      link.rel = "noopener";
      return link;
    }

    class Page {
      #frame = null;
      #received = 0;
      #socket = null;
      #paused = false;
      #past = [];
      /** Where a paused page stands: the frames as they were then, and how many it is back from their end. */
      #stand = null;
      #wasLost = false;
      #nodes = new Map();
      #edges = new Map();
      #feeds = new Map();
      #stages = new Map();
      #epochs = new Map();
      #gaps = [];
      #lastEnded = [];
      #events = [];
      #slow = {};
      #clients = undefined;
      #heat = new Map();
      #heatStage = null;
      #involuntary = new Map();
      #faults = new Map();
      #ladder = new Ladder();
      #frames = 0;

      start() {
        readColours();
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => readColours());
        document.addEventListener("keydown", (event) => this.#key(event));
        element("latency-hgrm").addEventListener("click", (event) => this.#copyLatency(event));
        this.#connect();
        setInterval(() => this.#tick(), 100);
        // What the tests of the page look at.
        globalThis.bulkheadPage = {
          state: () => ({
            frames: this.#frames, frame: this.#frame, events: this.#events, contact: document.body.dataset.contact,
            ladder: this.#ladder.state,
          }),
        };
      }

      // Contact

      #connect() {
        const scheme = location.protocol === "https:" ? "wss" : "ws";
        const socket = new WebSocket(`${scheme}://${location.host}/v1/view`, ["bulkhead.view.v1"]);
        this.#socket = socket;
        socket.onmessage = (message) => {
          if (this.#socket === socket) this.#take(JSON.parse(message.data));
        };
        socket.onclose = () => {
          if (this.#socket !== socket) return;
          this.#socket = null;
          setTimeout(() => this.#connect(), 300);
        };
      }

      #take(frame) {
        const isFirst = this.#frame === null || frame.events?.[0]?.id === 1;
        this.#frames += 1;
        this.#received = performance.now();
        this.#frame = frame;
        // A first frame repeats what an earlier viewd has told.
        if (isFirst || this.#wasLost) {
          if (frame.events) this.#events = [];
          if (frame.ended) this.#gaps = [];
        }
        for (const event of frame.events ?? []) this.#events.push(event);
        this.#events = this.#events.slice(-200);
        for (const gap of frame.ended ?? []) this.#gaps.push(gap);
        this.#gaps = this.#gaps.filter((gap) => frame.time - gap.detected < (MINUTE + 5) * 1000).slice(-3000);
        if (frame.ended?.length > 0) this.#lastEnded = this.#lastEnded.concat(frame.ended).slice(-5);
        for (const key of ["program", "host", "configuration", "clock", "latency", "cores"]) {
          if (frame[key] !== undefined) this.#slow[key] = frame[key];
        }
        for (const stage of frame.latency ?? []) {
          if (stage.heat === undefined) continue;
          const columns = this.#heat.get(stage.stage) ?? [];
          columns.push(stage.heat);
          this.#heat.set(stage.stage, columns.slice(-HEAT_SECONDS));
        }
        if (frame.clients !== undefined) this.#clients = frame.clients;
        for (const line of frame.lines) {
          const feed = this.#feed(line.name);
          if (frame.latency !== undefined) {
            feed.history.push(line.packets);
            if (feed.history.length > 120) feed.history.shift();
          }
        }
        this.#past.push(frame);
        if (this.#past.length > PAST_FRAMES) this.#past.shift();
        if (!this.#paused) this.#draw(frame);
      }

      #pause() {
        this.#paused = !this.#paused;
        document.body.dataset.paused = this.#paused ? "yes" : "no";
        this.#stand = this.#paused ? { frames: this.#past.slice(), back: 0 } : null;
      }

      /** A paused page shows an earlier second of the last minute, or a later one. */
      #step(frames) {
        const stand = this.#stand;
        // Without contact nothing old is to look live.
        if (stand === null || stand.frames.length === 0 || this.#wasLost) return;
        stand.back = Math.max(0, Math.min(stand.frames.length - 1, stand.back + frames));
        // What changes slowly is as it was last, and counts as read.
        this.#draw({ ...stand.frames[stand.frames.length - 1 - stand.back], latency: undefined });
      }

      /** What changes though no frame comes. */
      #tick() {
        const age = performance.now() - this.#received;
        const isLost = this.#frame === null || age > CONTACT;
        document.body.dataset.contact = this.#frame === null ? "none" : isLost ? "lost" : "live";
        const seen = element("fact-seen");
        if (this.#frame === null) return;
        if (isLost) {
          const text = `LOST CONTACT`;
          say(element("verdict-word"), text);
          element("verdict").dataset.verdict = "none";
          say(element("verdict-reason"), `nothing from viewd for ${(age / 1000).toFixed(1)} s: what is below is old`);
          say(element("verdict-more"), `it last said ${this.#frame.verdict}, at ${clock(this.#frame.time)}`);
          document.title = "? Bulkhead";
          say(seen, `${(age / 1000).toFixed(1)} s ago`);
          this.#ladder.draw("the page has lost contact");
        } else {
          const shown = this.#stand?.frames.at(-1 - this.#stand.back)?.time;
          say(seen, shown !== undefined ? `paused at ${clock(shown).slice(0, 8)}` : clock(this.#frame.time).slice(0, 10));
          if (!this.#paused) this.#ladder.draw(this.#frame.trustworthy ? null : this.#frame.reason);
        }
        this.#wasLost = isLost;
      }

      // Drawing

      #draw(frame) {
        this.#verdict(frame);
        this.#flow(frame);
        for (const line of frame.lines) this.#line(line, frame);
        this.#gapsDrawn(frame);
        this.#latency();
        if (frame.latency !== undefined) this.#heatDrawn();
        this.#cores(frame);
        this.#clientsDrawn(frame);
        this.#eventsDrawn();
        if (!this.#paused) this.#ladder.serve(frame.counts.publishPort ?? 0, frame.publishScheme ?? "ws", frame.publishToken ?? false);
      }

      #verdict(frame) {
        const header = element("verdict");
        header.dataset.verdict = frame.verdict;
        say(element("verdict-word"), frame.verdict);
        say(element("verdict-reason"), frame.reason);
        const trust = frame.trustworthy ? "what is published may be believed" : "what is published may NOT be believed";
        say(element("verdict-more"), `${trust} · ${frame.verdict} for ${span(frame.time - frame.since)}`);
        say(element("fact-set"), frame.instance);
        say(element("fact-host"), this.#slow.host ?? "–");
        say(element("fact-version"), this.#slow.program ?? "–");
        say(element("fact-configuration"), (this.#slow.configuration ?? "–").slice(0, 8));
        say(element("fact-epoch"), frame.epoch === undefined ? "–" : String(frame.epoch));
        const hostClock = this.#slow.clock;
        say(element("fact-clock"), hostClock === undefined ? "unknown" : hostClock.synchronized ? `± ${duration(hostClock.error)}` : "FREE");
        element("fact-clock").classList.toggle("warn", hostClock?.synchronized === false);
        say(element("fact-data"), frame.dataAge === undefined ? "never" : duration(frame.dataAge));
        element("fact-data").classList.toggle("warn", frame.dataAge > 2e9);
        document.title = `${frame.verdict === "LIVE" ? "●" : frame.verdict === "DEGRADED" ? "▲" : "■"} ${frame.verdict} · ${frame.instance}`;
      }

      #node(name) {
        let node = this.#nodes.get(name);
        if (node !== undefined) return node;
        const parts = {};
        for (const part of ["shape", "name", "state"]) parts[part] = make("span", part);
        const slim = name === "watchdogd" || name === "viewd";
        const box = make("div", slim ? "node slim" : "node", make("div", "top", parts.shape, parts.name, parts.state));
        for (const part of slim ? ["line"] : ["big", "line", "line2"]) {
          parts[part] = make("div", part === "line2" ? "line" : part);
          box.append(parts[part]);
        }
        if (parts.big) {
          parts.value = document.createTextNode("");
          parts.big.append(parts.value, make("small", "", " msg/s"));
        }
        place(box, name);
        parts.name.textContent = name;
        node = { box, parts, changed: 0 };
        this.#nodes.set(name, node);
        return node;
      }

      #flow(frame) {
        for (const line of frame.lines) this.#end(`line-${line.name}`, `line ${line.name.toUpperCase()}`, line.up ? `${short(line.packets)}` : "DOWN", line.up ? "packets/s" : "", line.up);
        for (const process of frame.processes) this.#process(process, frame);
        for (const ring of frame.rings) {
          for (const reader of ring.readers) {
            const name = ring.name.startsWith("rx_") ? ring.name : `${ring.name}-${reader.name}`;
            if (FLOW.includes(name)) this.#edge(name, ring, reader);
          }
        }
        this.#end("clients", "clients", short(frame.counts.clients ?? 0), "connected", true);
        const book = frame.processes.find((process) => process.name === "bookd");
        say(element("flow-note"), `${grouped(frame.counts.messagesApplied ?? 0)} messages applied, ${grouped(frame.counts.eventsPublished ?? 0)} events published`
          + (book ? `, sequence ${grouped(book.sequence)}` : ""));
      }

      #end(name, title, value, unit, isUp) {
        let node = this.#nodes.get(name);
        if (node === undefined) {
          const parts = { value: make("strong"), unit: make("span") };
          const box = make("div", name === "clients" ? "end last" : "end", make("span", "", title), parts.value, parts.unit);
          place(box, name);
          node = { box, parts };
          this.#nodes.set(name, node);
        }
        node.box.dataset.up = isUp ? "yes" : "no";
        say(node.parts.value, value);
        say(node.parts.unit, unit);
      }

      #process(process, frame) {
        const { box, parts } = this.#node(process.name);
        const works = process.alive && (process.state === "READY" || process.state === "DRAINING" || process.state === "DRAINED");
        const silent = process.alive && process.beat > 2e9;
        const state = !process.alive ? (process.state === "DRAINED" ? "good" : "dead") : silent ? "stands" : works ? "good"
          : process.state === "HALTED" || process.state === "FAILED" ? "stands" : "way";
        box.dataset.state = state;
        box.dataset.epoch = String(process.epoch);
        box.dataset.pid = String(process.pid);
        const before = this.#epochs.get(process.name);
        const now = performance.now();
        // Going back and forth in a paused page restarts nothing.
        if (before !== undefined && before.epoch !== process.epoch && !this.#paused) before.at = now;
        if (before === undefined) this.#epochs.set(process.name, { epoch: process.epoch, at: -1e9 });
        else if (!this.#paused) before.epoch = process.epoch;
        const isNew = now - this.#epochs.get(process.name).at < 8000;
        box.classList.toggle("new", isNew);
        say(parts.shape, { good: "●", way: "▲", stands: "■", dead: "✕" }[state]);
        say(parts.state, !process.alive ? (process.state === "DRAINED" ? "ended" : "DEAD") : silent ? "SILENT" : isNew && works ? "RESTARTED" : process.state);
        const restarts = process.restarts > 0 ? ` · ↻ ${process.restarts}` : "";
        const beat = process.alive ? `beat ${duration(process.beat)}` : "no beat";
        const busy = process.busy === undefined ? "" : `${process.busy.toFixed(process.busy < 10 ? 1 : 0)} % of core ${process.core}`;
        box.title = `${process.name}: process ${process.pid}, epoch ${process.epoch}, ${busy || "no processor time known"}, restarted ${process.restarts} times`;
        if (parts.big === undefined) {
          say(parts.line, `${beat}${restarts}`);
          return;
        }
        const rate = process.name.startsWith("rxd@")
          ? frame.rings.find((ring) => ring.writer === process.name)?.rate ?? 0 : process.rate;
        if (parts.value.data !== short(rate)) parts.value.data = short(rate);
        say(parts.big.lastChild, process.name.startsWith("rxd@") ? " packets/s" : " msg/s");
        say(parts.line, `${beat} · pid ${process.pid}`);
        say(parts.line2, `${busy || "just started"}${restarts}`);
      }

      #edge(name, ring, reader) {
        let edge = this.#edges.get(name);
        if (edge === undefined) {
          const parts = { name: make("b"), rate: make("span"), fill: make("i"), high: make("u"), detail: make("div", "detail") };
          const bar = make("div", "bar", parts.fill, parts.high);
          const box = make("div", "edge", make("div", "names", parts.name, parts.rate), make("div", "arrow", bar), parts.detail);
          place(box, name);
          edge = { box, bar, parts };
          this.#edges.set(name, edge);
        }
        const percent = reader.percent ?? 0;
        const { parts } = edge;
        say(parts.name, ring.name);
        say(parts.rate, `${short(ring.rate)}/s`);
        parts.fill.style.width = `${percent <= 0 ? 0 : Math.max(1.5, Math.min(100, percent))}%`;
        parts.high.style.left = `${Math.min(99, reader.highWater)}%`;
        edge.bar.dataset.level = percent > 95 ? "95" : percent > 85 ? "85" : percent > 70 ? "70" : "0";
        const lapped = reader.laps > 0 ? ` · LAPPED ${reader.laps}×` : "";
        const behind = `${reader.lag === undefined ? "–" : short(reader.lag)} behind`;
        say(parts.detail, (percent >= 1 ? `${behind} · ${percent.toFixed(0)} %` : `${behind} · peak ${reader.highWater.toFixed(reader.highWater < 10 ? 1 : 0)} %`) + lapped);
        edge.box.title = `ring ${ring.name}: ${grouped(ring.cells)} cells of 64 bytes, read by ${reader.name}`;
      }

      #feed(name) {
        let feed = this.#feeds.get(name);
        if (feed !== undefined) return feed;
        const parts = { up: make("span", "up"), rate: make("span", "rate"), canvas: make("canvas"), list: make("dl", "pairs") };
        parts.number = document.createTextNode("");
        parts.rate.append(parts.number, make("small", "", " packets/s"));
        const box = make("div", "feed", make("div", "top", make("b", "", name.toUpperCase()), parts.up, parts.rate), parts.canvas, parts.list);
        parts.values = new Map();
        for (const key of ["last packet", "messages/s", "later by, p50", "p99", "missed alone", "twice", "dropped", "downs"]) {
          const value = make("dd");
          parts.list.append(make("dt", "", key), value);
          parts.values.set(key, value);
        }
        element("lines-body").append(box);
        feed = { box, parts, history: [] };
        this.#feeds.set(name, feed);
        return feed;
      }

      #line(line, frame) {
        const { box, parts, history } = this.#feed(line.name);
        box.dataset.up = line.up ? "yes" : "no";
        say(parts.up, line.up ? "UP" : "DOWN");
        if (parts.number.data !== short(line.packets)) parts.number.data = short(line.packets);
        const values = {
          "last packet": line.age === undefined ? "never" : duration(line.age), "messages/s": short(line.messages),
          "later by, p50": duration(line.laterMedian), p99: duration(line.laterHigh), "missed alone": short(line.missedAlone),
          twice: short(line.duplicates), dropped: short(line.kernelDrops), downs: short(line.downs),
        };
        for (const [key, value] of Object.entries(values)) say(parts.values.get(key), value);
        const most = Math.max(...frame.lines.map((each) => Math.max(0, ...this.#feed(each.name).history)));
        if (frame.latency !== undefined) sparkline(parts.canvas, history, line.up ? "good" : "bad", most);
        say(element("lines-note"), frame.counts.lineDisagreements > 0 ? `${grouped(frame.counts.lineDisagreements)} disagreements` : "the lines agree");
      }

      #gapsDrawn(frame) {
        const open = frame.open ?? [];
        timeline(element("gaps-canvas"), this.#gaps.concat(open), frame.time, MINUTE);
        const counts = frame.counts;
        const totals = {
          line: (counts.filledByLineA ?? 0) + (counts.filledByLineB ?? 0), retransmission: counts.filledByRetransmission ?? 0,
          snapshot: counts.replacedBySnapshot ?? 0, lost: counts.messagesLost ?? 0, open: open.reduce((sum, gap) => sum + gap.count, 0),
        };
        const key = element("gaps-key");
        if (key.children.length === 0) {
          for (const lane of LANES) {
            const swatch = make("i");
            swatch.style.background = `var(--${lane.colour})`;
            key.append(make("li", "", swatch, `${lane.title} `, make("b")));
          }
        }
        LANES.forEach((lane, index) => say(key.children[index].lastChild, grouped(totals[lane.key])));
        say(element("gaps-note"), `${grouped(counts.rangesDetected ?? 0)} ranges, ${grouped(counts.messagesMissing ?? 0)} messages · ${counts.gapsOpenNow > 0 ? `${counts.gapsOpenNow} OPEN` : "none open"}`);
        const shown = open.slice(0, 3).concat(this.#lastEnded.slice().reverse()).slice(0, 5);
        this.#rows(element("gaps-table"), shown, (gap) => [
          [gap.count === 1 ? grouped(gap.first) : `${grouped(gap.first)} … ${grouped(gap.first + gap.count - 1)}`, ""],
          [grouped(gap.count), "right"], [gap.took < 1000 && gap.state !== "open" ? "at once" : duration(gap.took), "right"],
          [gap.state === "open" ? `open: ${gap.rung}` : gap.outcome, laneOf(gap) === "lost" ? "bad" : gap.state === "open" ? "warn" : ""],
        ]);
      }

      /** Fills a table's body, reusing its cells. */
      #rows(table, items, cells) {
        const body = table.tBodies[0];
        while (body.rows.length > items.length) body.deleteRow(-1);
        items.forEach((item, index) => {
          const row = body.rows[index] ?? body.insertRow();
          cells(item).forEach(([text, className], column) => {
            const cell = row.cells[column] ?? row.insertCell();
            say(cell, text);
            if (cell.className !== className) cell.className = className;
          });
        });
      }

      /** Time on a logarithmic scale from 1 µs to 10 s, in percent. */
      #place(nanoseconds) { return Math.max(0, Math.min(100, ((Math.log10(Math.max(1e3, nanoseconds)) - 3) / 7) * 100)); }

      #latency() {
        const body = element("latency-body");
        if (body.children.length === 0) {
          const axis = make("div");
          for (const [text, value] of [["1 µs", 1e3], ["100 µs", 1e5], ["10 ms", 1e7], ["1 s", 1e9]]) {
            const label = make("span", "", text);
            label.style.left = `${this.#place(value)}%`;
            axis.append(label);
          }
          body.append(make("div", "axis", make("div"), axis, make("div")));
        }
        for (const stage of this.#slow.latency ?? []) {
          let row = this.#stages.get(stage.stage);
          if (row === undefined) {
            const parts = { half: make("i", "half"), most: make("i", "most"), tail: make("i", "tail"), max: make("i", "max"), p99: make("div", "p99"), under: make("div", "under") };
            const box = make("div", "stage", make("div", "name", stage.stage), make("div", "scale", parts.tail, parts.most, parts.half, parts.max), parts.p99, parts.under);
            parts.p99.append(make("span"), make("small", "", "p99"));
            const rank = FLOW.indexOf(stage.stage);
            body.insertBefore(box, [...this.#stages].find(([other]) => FLOW.indexOf(other) > rank)?.[1].box ?? null);
            box.firstChild.title = "show the last fifteen minutes of this stage";
            box.firstChild.addEventListener("click", () => { this.#heatStage = stage.stage; });
            row = { box, parts };
            this.#stages.set(stage.stage, row);
          }
          const { parts } = row;
          const isQuiet = stage.count === 0;
          const values = { half: stage.p50, most: stage.p99, tail: stage.p999 };
          for (const [name, value] of Object.entries(values)) parts[name].style.width = isQuiet ? "0" : `${this.#place(value)}%`;
          parts.max.style.left = isQuiet ? "-9px" : `calc(${this.#place(stage.max)}% - 2px)`;
          say(parts.p99.firstChild, isQuiet ? "quiet" : duration(stage.p99));
          say(parts.under, isQuiet ? `since the start: p50 ${duration(stage.wholeP50)}, p99 ${duration(stage.wholeP99)}`
            : `p50 ${duration(stage.p50)} · p90 ${duration(stage.p90)} · p99.9 ${duration(stage.p999)} · max ${duration(stage.max)}`);
        }
      }

      /** The last fifteen minutes of one stage: the chosen one, or the last of the flow. */
      #heatDrawn() {
        const names = [...this.#stages.keys()].sort((a, b) => FLOW.indexOf(a) - FLOW.indexOf(b));
        const name = this.#heatStage ?? names.at(-1);
        if (name === undefined) return;
        for (const [other, { box }] of this.#stages) box.dataset.chosen = other === name ? "yes" : "no";
        const link = element("latency-hgrm");
        link.dataset.stage = name;
        link.href = `/v1/latency/${name}.hgrm`;
        say(element("latency-heat-title"), `${name}, a column a second, a row a power of two`);
        heatmap(element("latency-heat"), this.#heat.get(name) ?? [], HEAT_FIRST, HEAT_SECONDS);
      }

      /** The distribution of the shown stage onto the clipboard; where the browser has none for this page, the link leads to it. */
      async #copyLatency(event) {
        if (navigator.clipboard === undefined) return;
        event.preventDefault();
        const link = element("latency-hgrm");
        try {
          const answer = await fetch(link.href);
          if (!answer.ok) throw new Error(String(answer.status));
          await navigator.clipboard.writeText(await answer.text());
          link.textContent = "copied";
        } catch {
          link.textContent = "not copied";
        }
        setTimeout(() => { link.textContent = "copy .hgrm"; }, 1500);
      }

      #cores(frame) {
        const body = element("cores-body");
        const cores = this.#slow.cores ?? [];
        cores.forEach((core, index) => {
          let box = body.children[index];
          if (box === undefined) {
            box = make("div", "core", make("div", "top", make("b"), make("span")), make("div", "bar", make("i"), make("u")), make("div", "who"));
            body.append(box);
          }
          const [top, bar, who] = box.children;
          say(top.children[0], `core ${core.core}`);
          say(top.children[1], `${core.busy.toFixed(0)} % busy${core.stolen >= 0.5 ? `, ${core.stolen.toFixed(0)} % stolen` : ""}`);
          bar.children[0].style.width = `${core.busy}%`;
          bar.children[1].style.left = `${core.busy}%`;
          bar.children[1].style.width = `${core.stolen}%`;
          const here = frame.processes.filter((process) => process.alive && process.core === core.core && process.busy !== undefined);
          say(who, here.map((process) => `${process.name} ${process.busy.toFixed(process.busy < 10 ? 1 : 0)} %`).join(" · ") || "no process of this set");
        });
        if (frame.latency !== undefined) {
          let rate = 0;
          let faults = 0;
          for (const process of frame.processes) {
            const read = this.#faults.get(process.pid);
            if (read !== undefined && process.majorFaults !== undefined) faults += Math.max(0, process.majorFaults - read);
            if (process.majorFaults !== undefined) this.#faults.set(process.pid, process.majorFaults);
            const before = this.#involuntary.get(process.pid);
            if (before !== undefined && process.involuntary !== undefined) rate += Math.max(0, process.involuntary - before);
            if (process.involuntary !== undefined) this.#involuntary.set(process.pid, process.involuntary);
          }
          say(element("cores-note"), `${short(rate)} preemptions/s · ${short(faults)} page faults/s`);
          element("cores-note").title = "page faults that had to read the disk: 0 in steady state";
          element("cores-note").classList.toggle("warn", faults > 0);
        }
      }

      #clientsDrawn(frame) {
        const count = frame.counts.clients ?? 0;
        say(element("clients-note"), `${grouped(count)} of pubd`);
        const list = this.#clients ?? [];
        element("clients-table").hidden = list.length === 0;
        const empty = element("clients-empty");
        empty.hidden = list.length > 0;
        say(empty, count === 0 ? "nobody is connected" : `${grouped(count)} connected`);
        this.#rows(element("clients-table"), list.slice(0, 12), (client) => [
          [client.address, ""], [bytes(client.waiting), client.waiting > client.capacity / 2 ? "right warn" : "right"],
          [bytes(client.sent), "right"], [span(frame.time - client.since), "right"],
          [client.state, client.state === "slow" || client.state === "closing" ? "warn" : ""],
        ]);
      }

      #eventsDrawn() {
        const list = element("events-list");
        const newest = this.#events.at(-1)?.id ?? 0;
        if (list.dataset.newest === `${newest}/${this.#events.length}`) return;
        list.dataset.newest = `${newest}/${this.#events.length}`;
        list.replaceChildren(...this.#events.slice().reverse().map((event) => {
          const kind = { died: "bad", dying: "bad", "left down": "bad", fenced: "bad", alarm: "warn", action: "warn", ready: "good", trusted: "good", cleared: "good" }[event.event] ?? "plain";
          const item = make("li", "", make("span", "sign", { bad: "✕", warn: "▲", good: "●", plain: "·" }[kind]), make("span", "when", clock(event.time)),
            make("span", "who", event.component), make("span", "what", runbook(event.event)),
            make("span", "rest", [event.pid > 0 ? `process ${event.pid}` : "", event.epoch > 0 ? `epoch ${event.epoch}` : "", event.text].filter(Boolean).join(", ")));
          item.dataset.kind = kind;
          item.dataset.event = event.event;
          item.dataset.component = event.component;
          return item;
        }));
      }

      // Keys

      #key(event) {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const isTyping = event.target instanceof HTMLInputElement;
        if (event.key === "Escape" && isTyping) event.target.blur();
        if (isTyping) return;
        const sections = ["flow", "lines", "gaps", "latency", "ladder", "clients", "cores", "events"];
        const place = sections[Number(event.key) - 1];
        if (event.key === "/") {
          event.preventDefault();
          element("ladder-symbol").focus();
          element("ladder-symbol").select();
        } else if (event.key === "?") element("help").showModal();
        else if (event.key === "f") this.#ladder.freeze();
        else if (event.key === "l") this.#ladder.deepen();
        else if (event.key === "p") this.#pause();
        else if (event.key === "ArrowLeft") this.#step(PAST_STEP);
        else if (event.key === "ArrowRight") this.#step(-PAST_STEP);
        else if (event.key === "t") {
          const root = document.documentElement;
          const themes = ["auto", "light", "dark"];
          root.dataset.theme = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
          readColours();
        } else if (place !== undefined) {
          const section = element(place);
          section.tabIndex = -1;
          section.scrollIntoView({ block: "start" });
          section.focus({ preventScroll: true });
        }
      }
    }

    new Page().start();

    """##

  static let drawing = ##"""
    // Numbers as words, and what is drawn on canvases.

    /** "1,234,567". */
    export const grouped = (value) => Math.round(value).toLocaleString("en-US");

    /** "812", "98.1k", "1.91M". */
    export function short(value) {
      if (!Number.isFinite(value)) return "–";
      if (value >= 999500) return `${(value / 1e6).toFixed(2)}M`;
      if (value >= 99950) return `${Math.round(value / 1e3)}k`;
      if (value >= 9995) return `${(value / 1e3).toFixed(1)}k`;
      return grouped(value);
    }

    /** Nanoseconds: "812 ns", "41.2 µs", "3.40 ms", "1.2 s", "3 min", "2 h". */
    export function duration(nanoseconds) {
      const value = Number(nanoseconds);
      if (!Number.isFinite(value) || value < 0) return "–";
      if (value < 1e3) return `${Math.round(value)} ns`;
      for (const [scale, unit] of [[1e3, "µs"], [1e6, "ms"], [1e9, "s"]]) {
        const scaled = value / scale;
        if (scaled < 999.5) return `${scaled >= 99.5 ? Math.round(scaled) : scaled.toPrecision(3)} ${unit}`;
      }
      return span(value / 1e6);
    }

    /** Milliseconds, coarsely: "12 s", "3 min 20 s", "2 h 5 min", "3 d 7 h". */
    export function span(milliseconds) {
      const seconds = Math.max(0, Math.floor(milliseconds / 1000));
      if (seconds < 60) return `${seconds} s`;
      if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
      if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
      return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
    }

    /** The time of the day, UTC, of milliseconds since 1970. */
    export const clock = (milliseconds) => new Date(milliseconds).toISOString().slice(11, 23);

    /** Bytes: "812 B", "4.1 kB", "3.2 MB". */
    export function bytes(value) {
      for (const [scale, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
        if (value >= scale) return `${(value / scale).toPrecision(3)} ${unit}`;
      }
      return `${Math.round(value)} B`;
    }

    let colours = {};
    /** Reads the theme's colours anew. */
    export function readColours() {
      const style = getComputedStyle(document.documentElement);
      colours = Object.fromEntries(["good", "warn", "bad", "info", "violet", "line", "soft", "faint", "track", "ink", "card"]
        .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    }
    export const colour = (name) => colours[name];

    /** A canvas in its size on the screen, cleared, with a unit of one CSS pixel. */
    function prepare(canvas) {
      const ratio = window.devicePixelRatio || 1;
      const width = Math.round(canvas.clientWidth * ratio);
      const height = Math.round(canvas.clientHeight * ratio);
      if (width === 0 || height === 0) return null;
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
      return pen;
    }

    /** One line of values, the newest at the right, filled below. */
    export function sparkline(canvas, values, name, most) {
      const pen = prepare(canvas);
      if (pen === null || values.length < 2) return;
      const width = canvas.clientWidth;
      const height = canvas.clientHeight;
      const top = Math.max(most, ...values, 1);
      const x = (index) => width - (values.length - 1 - index) * (width / 119);
      const y = (value) => height - 2 - (height - 4) * (value / top);
      pen.beginPath();
      values.forEach((value, index) => (index === 0 ? pen.moveTo(x(0), y(value)) : pen.lineTo(x(index), y(value))));
      pen.strokeStyle = colour(name);
      pen.lineWidth = 1.5;
      pen.lineJoin = "round";
      pen.stroke();
      pen.lineTo(width, height);
      pen.lineTo(x(0), height);
      pen.globalAlpha = 0.13;
      pen.fillStyle = colour(name);
      pen.fill();
      pen.globalAlpha = 1;
    }

    /** How gaps end: lanes of the timeline, from the top down. */
    export const LANES = [
      { key: "line", title: "other line", colour: "good" },
      { key: "retransmission", title: "retransmission", colour: "info" },
      { key: "snapshot", title: "snapshot", colour: "violet" },
      { key: "lost", title: "lost", colour: "bad" },
      { key: "open", title: "open", colour: "warn" },
    ];

    export function laneOf(gap) {
      if (gap.state === "open") return "open";
      if (gap.state === "lost") return "lost";
      if (gap.outcome.includes("retransmission")) return "retransmission";
      return gap.outcome.includes("snapshot") ? "snapshot" : "line";
    }

    /** Latency over time: columns of counts by powers of two from `first` on, the newest at the right, `seconds` of them. */
    export function heatmap(canvas, columns, first, seconds) {
      const pen = prepare(canvas);
      if (pen === null) return;
      const left = 44;
      const bottom = 14;
      const width = canvas.clientWidth - left;
      const height = canvas.clientHeight - bottom;
      pen.fillStyle = colour("track");
      pen.fillRect(left, 0, width, height);
      const rows = columns[0]?.length ?? 1;
      const step = width / seconds;
      const row = height / rows;
      const most = Math.max(1, ...columns.map((column) => Math.max(...column)));
      pen.fillStyle = colour("info");
      columns.forEach((column, index) => {
        const x = left + width - (columns.length - index) * step;
        column.forEach((count, power) => {
          if (count === 0) return;
          pen.globalAlpha = 0.12 + 0.88 * (Math.log1p(count) / Math.log1p(most));
          pen.fillRect(x, height - (power + 1) * row, Math.max(1, step), row);
        });
      });
      pen.globalAlpha = 1;
      pen.font = "10.5px system-ui, 'DejaVu Sans', sans-serif";
      pen.fillStyle = colour("soft");
      pen.textAlign = "left";
      pen.textBaseline = "middle";
      for (const [text, power] of [["1 µs", 10], ["65 µs", 16], ["4 ms", 22], ["268 ms", 28]]) {
        pen.fillText(text, 0, height - (power + 1 - first) * row);
      }
      pen.textBaseline = "alphabetic";
      pen.fillText(`−${seconds / 60} min`, left, height + bottom - 2);
      pen.textAlign = "right";
      pen.fillText("now", left + width, height + bottom - 2);
    }

    /** Missing ranges over the last minute: when, how long, and how they ended. */
    export function timeline(canvas, gaps, now, seconds) {
      const pen = prepare(canvas);
      if (pen === null) return;
      const width = canvas.clientWidth;
      const lane = 22;
      const left = 96;
      const x = (time) => left + (width - left - 4) * (1 - (now - time) / (seconds * 1000));
      pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
      pen.textBaseline = "middle";
      LANES.forEach((each, index) => {
        const middle = index * lane + lane / 2;
        pen.fillStyle = colour("soft");
        pen.textAlign = "left";
        pen.fillText(each.title, 0, middle);
        pen.fillStyle = colour("track");
        pen.fillRect(left, middle - 7, width - left - 4, 14);
      });
      pen.fillStyle = colour("faint");
      for (let back = 0; back <= seconds; back += 15) {
        const at = x(now - back * 1000);
        pen.globalAlpha = 0.5;
        pen.fillRect(Math.round(at), 0, 1, LANES.length * lane);
        pen.globalAlpha = 1;
        pen.textAlign = back === 0 ? "right" : back === seconds ? "left" : "center";
        pen.fillText(back === 0 ? "now" : `−${back} s`, at, LANES.length * lane + 12);
      }
      for (const gap of gaps) {
        const index = LANES.findIndex((each) => each.key === laneOf(gap));
        const from = Math.max(left, x(gap.detected));
        const to = Math.min(width - 4, x(gap.detected + gap.took / 1e6));
        if (to < left) continue;
        const height = 6 + Math.min(8, 2 * Math.log10(1 + gap.count));
        pen.fillStyle = colour(LANES[index].colour);
        pen.globalAlpha = 0.85;
        pen.fillRect(from, index * lane + (lane - height) / 2, Math.max(2, to - from), height);
      }
      pen.globalAlpha = 1;
    }

    """##

  static let ladder = ##"""
    // One symbol's book, from pubd through its own protocol: snapshot, then exact continuation.

    import { BulkheadClient, TOKEN_LIMIT } from "/bulkhead.js";
    import { clock, grouped, span } from "/drawing.js";

    const DEPTHS = [10, 20];
    const CHANNELS = ["levels", "trades", "status", "defs"];
    // Of this tab, until it is closed.
    const TOKEN = "bulkhead.token";
    // Attempts without an answer after which the token may be what is wrong.
    const DOUBTS = 4;
    const element = (id) => document.getElementById(id);

    /** Prices are in units of 1/10000; further digits are shown where there are any. */
    function price(value) {
      const text = (value / 10000).toFixed(4);
      return text.endsWith("00") ? text.slice(0, -2) : text;
    }

    function missedText({ missed, how }) {
      return missed === null ? how : `missed ${grouped(missed.last - missed.first + 1)}`;
    }

    export class Ladder {
      #client = null;
      #definitions = null;
      #port = 0;
      #url = "";
      #token = sessionStorage.getItem(TOKEN) ?? "";
      #asksForToken = false;
      #symbol = "";
      #subscription = null;
      #known = new Map();
      #names = 0;
      #frozen = false;
      #rows = [];
      #lines = [];
      #depth = DEPTHS[0];
      #before = new Map();
      #proof = null;
      #facts = {};

      constructor() {
        const body = element("ladder-rows");
        for (let row = 0; row < DEPTHS.at(-1); row += 1) {
          const line = body.insertRow();
          const cells = ["orders right", "bidsize right", "price bidside right", "price askside", "asksize", "orders"].map((name) => {
            const cell = line.insertCell();
            cell.className = name;
            const bar = document.createElement("i");
            const text = document.createTextNode("");
            if (name.includes("size")) cell.append(bar);
            cell.append(text);
            return { cell, bar, text };
          });
          this.#rows.push(cells);
          this.#lines.push(line);
        }
        for (const name of ["last trade", "trading", "sequence", "changed", "frames", "reconnected"]) {
          const group = document.createElement("div");
          const title = document.createElement("dt");
          const value = document.createElement("dd");
          title.textContent = name;
          value.textContent = "–";
          group.append(title, value);
          element("ladder-facts").append(group);
          this.#facts[name] = value;
        }
        element("ladder-form").addEventListener("submit", (event) => {
          event.preventDefault();
          this.choose(element("ladder-symbol").value);
          element("ladder-symbol").blur();
        });
        element("ladder-symbol").addEventListener("change", () => this.choose(element("ladder-symbol").value));
        element("ladder-token").maxLength = TOKEN_LIMIT;
        element("ladder-token-form").addEventListener("submit", (event) => {
          event.preventDefault();
          this.#token = element("ladder-token").value.trim();
          element("ladder-token").value = "";
          if (!/^[!-~]+$/.test(this.#token)) this.#token = "";
          sessionStorage.setItem(TOKEN, this.#token);
          this.#connect();
        });
        this.#symbol = new URLSearchParams(location.hash.slice(1)).get("symbol") ?? "";
        element("ladder-symbol").value = this.#symbol;
        this.#show(Number(new URLSearchParams(location.hash.slice(1)).get("levels")));
      }

      /** As many levels as may be shown, or the fewest. */
      #show(depth) {
        this.#depth = DEPTHS.includes(depth) ? depth : DEPTHS[0];
        this.#lines.forEach((line, row) => { line.hidden = row >= this.#depth; });
      }

      /** The next number of levels; the address keeps it. */
      deepen() {
        this.#show(DEPTHS[(DEPTHS.indexOf(this.#depth) + 1) % DEPTHS.length]);
        const place = new URLSearchParams(location.hash.slice(1));
        place.set("levels", String(this.#depth));
        history.replaceState(null, "", `#${place}`);
      }

      /** pubd as viewd tells of it: its port (another one means another publisher), its scheme, and whether it asks for a token. */
      serve(port, scheme, asksForToken) {
        const url = `${scheme}://${location.hostname}:${port}`;
        if (port === 0 || (url === this.#url && asksForToken === this.#asksForToken)) return;
        this.#port = port;
        this.#url = url;
        this.#asksForToken = asksForToken;
        this.#connect();
      }

      #connect() {
        this.#client?.close();
        this.#definitions?.close();
        this.#client = this.#definitions = this.#subscription = null;
        if (this.#asksForToken && this.#token === "") return;
        const token = this.#asksForToken ? this.#token : "";
        const url = this.#url;
        this.#client = new BulkheadClient(url, {
          token, backoff: 100, backoffLimit: 1000,
          onReconnect: (proof) => { this.#proof = { ...proof, at: Date.now() }; },
        });
        // Which symbols there are; once that is known nobody needs to be told again.
        this.#definitions = new BulkheadClient(url, {
          token, backoffLimit: 1000,
          onEvent: (event, book) => {
            if (event === null || book === undefined || book.symbol === "") return;
            this.#known.set(book.symbol, book.instrument);
          },
        });
        this.#definitions.subscribe("*", { channels: ["defs"] });
        if (this.#symbol !== "") this.choose(this.#symbol);
      }

      choose(symbol) {
        const name = symbol.trim().toUpperCase();
        if (name === "" || (name === this.#symbol && this.#subscription !== null)) return;
        if (this.#subscription !== null) this.#client.unsubscribe(this.#subscription);
        this.#symbol = name;
        this.#before.clear();
        element("ladder-symbol").value = name;
        const place = new URLSearchParams(location.hash.slice(1));
        place.set("symbol", name);
        history.replaceState(null, "", `#${place}`);
        // Asked for later where pubd, or its token, is not known yet.
        this.#subscription = this.#client?.subscribe([name], { channels: CHANNELS }) ?? null;
      }

      freeze() { this.#frozen = !this.#frozen; }

      /** Draws what there is, ten times a second; `outside` is why the page itself knows nothing, or null. */
      draw(outside) {
        this.#list();
        if (this.#frozen) return this.#note("frozen");
        const book = this.#client?.book(this.#symbol);
        const asked = this.#ask();
        const isAsked = !element("ladder-token-form").hidden;
        const trust = this.#client === null ? { ok: false, reason: isAsked ? asked : "pubd is not there" } : this.#client.trustworthy(this.#symbol);
        if (isAsked && !trust.ok) trust.reason = asked;
        if (outside !== null) {
          trust.ok = false;
          trust.reason = outside;
        }
        const box = element("ladder-book");
        box.dataset.trust = trust.ok ? "yes" : "no";
        const stamp = element("ladder-stamp");
        stamp.hidden = trust.ok;
        if (!trust.ok) stamp.lastElementChild.textContent = trust.reason;
        if (book !== undefined) this.#levels(book.bids(this.#depth), book.asks(this.#depth));
        this.#tell(book);
        return this.#note(this.#client?.connection === "open" ? `pubd :${this.#port}` : `pubd: ${this.#client?.connection ?? "none"}`);
      }

      /** Asks for the token while there is none, and when it may be the wrong one. */
      #ask() {
        // The book's client has nothing to ask for before a symbol is known.
        const isInDoubt = Math.max(this.#client?.failures ?? 0, this.#definitions?.failures ?? 0) >= DOUBTS;
        element("ladder-token-form").hidden = !this.#asksForToken || (this.#token !== "" && !isInDoubt);
        return isInDoubt ? "no answer: is the token in force?" : "pubd asks for a token";
      }

      #note(text) { element("ladder-note").textContent = text; }

      #list() {
        if (this.#known.size === this.#names) return;
        this.#names = this.#known.size;
        const names = [...this.#known.keys()].sort();
        element("ladder-symbols").replaceChildren(...names.map((name) => {
          const option = document.createElement("option");
          option.value = name;
          return option;
        }));
        if (this.#symbol === "") {
          const first = [...this.#known].sort((a, b) => a[1] - b[1])[0];
          if (first !== undefined) this.choose(first[0]);
        }
      }

      #levels(bids, asks) {
        const most = Math.max(1, ...bids.map((level) => level.size), ...asks.map((level) => level.size));
        for (let row = 0; row < this.#depth; row += 1) {
          const cells = this.#rows[row];
          const [bid, ask] = [bids[row], asks[row]];
          this.#cell(cells[0], bid === undefined ? "" : grouped(bid.orders));
          this.#cell(cells[1], bid === undefined ? "" : grouped(bid.size), `${row}b`);
          this.#cell(cells[2], bid === undefined ? "" : price(bid.price));
          this.#cell(cells[3], ask === undefined ? "" : price(ask.price));
          this.#cell(cells[4], ask === undefined ? "" : grouped(ask.size), `${row}a`);
          this.#cell(cells[5], ask === undefined ? "" : grouped(ask.orders));
          cells[1].bar.style.width = bid === undefined ? "0" : `${(bid.size / most) * 100}%`;
          cells[4].bar.style.width = ask === undefined ? "0" : `${(ask.size / most) * 100}%`;
        }
      }

      #cell(cell, text, flashes) {
        if (cell.text.data === text) return;
        cell.text.data = text;
        if (flashes === undefined || text === "") return;
        cell.cell.classList.remove("changed");
        // Starts the animation anew.
        void cell.cell.offsetWidth;
        cell.cell.classList.add("changed");
      }

      #tell(book) {
        const facts = this.#facts;
        const trade = book?.lastTrade;
        facts["last trade"].textContent = trade ? `${grouped(trade.quantity)} @ ${price(trade.price)}` : "–";
        facts.trading.textContent = { H: "halted", P: "paused", Q: "quotation only", T: "trading" }[book?.tradingState] ?? "–";
        facts.sequence.textContent = book === undefined ? "–" : grouped(book.sequence);
        facts.changed.textContent = book === undefined || book.changedAt === 0 ? "–" : clock(book.changedAt);
        facts.frames.textContent = grouped(this.#client?.statistics.frames ?? 0);
        const proof = this.#proof;
        facts.reconnected.textContent = proof === null ? "never"
          : `${span(Date.now() - proof.at)} ago, ${proof.nothingMissed ? "nothing missed" : missedText(proof)}`;
      }

      /** For the tests of the page. */
      get state() {
        return {
          symbol: this.#symbol, connection: this.#client?.connection, proofs: this.#client?.proofs ?? [],
          statistics: this.#client?.statistics, symbols: this.#known.size,
        };
      }
    }

    """##

  static let client = ##"""
    /**
     * Bulkhead's published stream, protocol 1 (docs/PUBLISH_PROTOCOL.md), in one file without dependencies: an ES module for
     * browsers, and for any runtime with a WebSocket.
     *
     *     import { BulkheadClient } from "./bulkhead.js";
     *     const client = new BulkheadClient("ws://127.0.0.1:9443", { onReconnect: (proof) => console.log(proof) });
     *     client.subscribe(["AAPL"], { channels: ["levels", "trades", "status", "defs"] });
     *     client.book("AAPL").bids(10);          // [{price, size, orders}], best first
     *     client.trustworthy("AAPL");            // {ok, reason, age}
     *
     * A connection that is lost is made again. The client then goes on behind the last event that it has, by cursor, where the
     * server can do that; the proof that nothing was missed is the unbroken chain of the replayed frames and their count. Where
     * it cannot, the exact range that was missed is told, and the books start from new snapshots.
     */

    export const CHANNELS = ["orders", "levels", "bbo", "trades", "status", "defs"];

    export const KIND = Object.freeze({
      definition: 1, orderAdd: 2, orderReduce: 3, orderDelete: 4, orderExecute: 5, level: 6, bestPrices: 7, trade: 8,
      tradeBroken: 9, tradingState: 10, notice: 11, trust: 12, gap: 13, endOfSession: 14,
    });

    const TEMPLATE = Object.freeze({
      events: 1, snapshotBegin: 2, snapshotOrders: 3, snapshotEnd: 4, heartbeat: 5, status: 6, replay: 7,
    });

    const UNAUTHORIZED = 4001;
    const SELL = 1;
    const STALE = 4;
    const NOT_PRINTABLE = 16;
    const BOOK_CHANNELS = ["orders", "levels"];
    const MESSAGE_CONTINUES = 1;
    const INPUT = ["live", "stale", "catching up", "halted"];
    const REASONS = [
      "", "gap", "unknown reference", "duplicate reference", "quantity exceeded", "wrong instrument", "capacity",
      "malformed message",
    ];
    /** Of a gap that an image has closed: nothing is missing any more. */
    const REPLACED_BY_SNAPSHOT = 9;

    /** What breaks the protocol; the connection is given up and made again. */
    export class ProtocolError extends Error {}

    /** One event, its body decoded by kind. Numbers are integers; references and match numbers are BigInt. */
    export function decodeEvent(view, offset) {
      const length = view.getUint16(offset, true);
      const kind = view.getUint8(offset + 2);
      const at = offset + 8;
      const body = at + 32;
      const event = {
        kind,
        sequence: number(view, at),
        venueTime: number(view, at + 8),
        receiveTime: number(view, at + 16),
        instrument: view.getUint32(at + 24, true),
        index: view.getUint16(at + 28, true),
        channel: view.getUint8(at + 30),
        flags: view.getUint8(at + 31),
        bytes: 8 + ((length + 7) & ~7),
      };
      event.sell = (event.flags & SELL) !== 0;
      event.stale = (event.flags & STALE) !== 0;
      // A body may have grown at its end; one that is shorter than its kind is none.
      const need = BODY_BYTES[kind];
      if (need === undefined) return event;
      if (length < 32 + need) throw new ProtocolError(`event of kind ${kind} has ${length} bytes`);
      BODY[kind](view, body, event);
      return event;
    }

    const BODY_BYTES = { 1: 24, 2: 24, 3: 24, 4: 24, 5: 40, 6: 24, 7: 32, 8: 32, 9: 8, 10: 8, 11: 8, 12: 24, 13: 24, 14: 16 };

    const BODY = {
      1: (v, o, e) => { e.symbol = text(v, o, 8); e.roundLot = v.getUint32(o + 8, true); },
      2: (v, o, e) => { e.reference = v.getBigUint64(o, true); e.price = signed(v, o + 8); e.quantity = number(v, o + 16); },
      3: (v, o, e) => { e.reference = v.getBigUint64(o, true); e.remaining = number(v, o + 8); e.reduced = number(v, o + 16); },
      4: (v, o, e) => { e.reference = v.getBigUint64(o, true); e.price = signed(v, o + 8); e.quantity = number(v, o + 16); },
      5: (v, o, e) => {
        e.reference = v.getBigUint64(o, true);
        e.price = signed(v, o + 8);
        e.quantity = number(v, o + 16);
        e.remaining = number(v, o + 24);
        e.match = v.getBigUint64(o + 32, true);
      },
      6: (v, o, e) => { e.price = signed(v, o); e.size = number(v, o + 8); e.orders = v.getUint32(o + 16, true); },
      7: (v, o, e) => {
        e.bid = signed(v, o);
        e.bidSize = number(v, o + 8);
        e.ask = signed(v, o + 16);
        e.askSize = number(v, o + 24);
      },
      8: (v, o, e) => {
        e.price = signed(v, o);
        e.quantity = number(v, o + 8);
        e.match = v.getBigUint64(o + 16, true);
        e.type = v.getUint8(o + 24);
        e.printable = v.getUint8(o + 25) !== 0;
      },
      9: (v, o, e) => { e.match = v.getBigUint64(o, true); },
      10: (v, o, e) => { e.source = text(v, o, 1); e.state = text(v, o + 1, 1); e.reason = text(v, o + 4, 4); },
      11: (v, o, e) => { e.type = text(v, o, 1); },
      12: (v, o, e) => {
        e.trust = v.getUint8(o);
        e.reason = v.getUint8(o + 1);
        e.scope = v.getUint8(o + 2);
        e.first = number(v, o + 8);
        e.last = number(v, o + 16);
      },
      13: (v, o, e) => { e.first = number(v, o); e.last = number(v, o + 8); e.reason = number(v, o + 16); },
      14: (v, o, e) => { e.applied = number(v, o); e.lost = number(v, o + 8); },
    };

    /** Exact up to 2^53, which no sequence number, size or time of a day comes near. */
    function number(view, offset) { return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 4294967296; }
    function signed(view, offset) { return view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 4294967296; }

    function text(view, offset, bytes) {
      let result = "";
      for (let i = 0; i < bytes; i += 1) {
        const byte = view.getUint8(offset + i);
        if (byte !== 0) result += String.fromCharCode(byte);
      }
      return result.trimEnd();
    }

    /** One instrument's book as its events tell it. Prices are in the venue's units (ITCH: 1/10000). */
    export class Book {
      constructor(instrument) {
        this.instrument = instrument;
        this.symbol = "";
        this.changes = 0;
        this.changedAt = 0;
        this.clear();
        this.lastTrade = null;
        this.tradingState = "";
        this.stale = false;
        this.staleReason = "";
        this.quarantined = false;
        this.sequence = 0;
        this.complete = false;
        /** When its last snapshot was taken, in the client's own count; see `#channelStale`. */
        this.snapshotAt = 0;
      }

      clear() {
        this.orders = new Map();
        this.sides = [new Map(), new Map()];
      }

      /** The best levels of a side, best first: price, size, number of orders. */
      bids(depth = 10) { return this.#levels(0, depth, (a, b) => b - a); }
      asks(depth = 10) { return this.#levels(1, depth, (a, b) => a - b); }

      #levels(side, depth, order) {
        const prices = [...this.sides[side].keys()].sort(order).slice(0, depth);
        return prices.map((price) => ({ price, ...this.sides[side].get(price) }));
      }

      #change(side, price, size, orders) {
        const levels = this.sides[side];
        const level = levels.get(price) ?? { size: 0, orders: 0 };
        level.size += size;
        level.orders += orders;
        if (level.orders <= 0) levels.delete(price); else levels.set(price, level);
      }

      #remove(reference, quantity, gone) {
        const order = this.orders.get(reference);
        if (order === undefined) return;
        order.quantity -= quantity;
        const ends = gone || order.quantity <= 0;
        this.#change(order.side, order.price, gone ? -(order.quantity + quantity) : -quantity, ends ? -1 : 0);
        if (ends) this.orders.delete(reference);
      }

      apply(event, now) {
        this.sequence = event.sequence;
        this.changes += 1;
        this.changedAt = now;
        const side = event.sell ? 1 : 0;
        switch (event.kind) {
          case KIND.definition: this.symbol = event.symbol; break;
          case KIND.orderAdd:
            this.orders.set(event.reference, { side, price: event.price, quantity: event.quantity });
            this.#change(side, event.price, event.quantity, 1);
            break;
          case KIND.orderReduce: this.#remove(event.reference, event.reduced, event.remaining === 0); break;
          case KIND.orderDelete: this.#remove(event.reference, event.quantity, true); break;
          case KIND.orderExecute:
            this.#remove(event.reference, event.quantity, event.remaining === 0);
            this.#trade(event);
            break;
          case KIND.level:
            if (event.size === 0) this.sides[side].delete(event.price);
            else this.sides[side].set(event.price, { size: event.size, orders: event.orders });
            break;
          case KIND.trade: this.#trade(event); break;
          case KIND.tradingState: this.tradingState = event.state; break;
          case KIND.trust:
            this.stale = event.trust !== 0;
            this.staleReason = this.stale ? REASONS[event.reason] ?? `reason ${event.reason}` : "";
            this.quarantined = event.scope === 1 && this.stale;
            if (this.quarantined) this.clear();
            break;
          case KIND.gap:
            // One that names an instrument is of that instrument alone.
            if (event.reason === REPLACED_BY_SNAPSHOT) break;
            this.stale = true;
            this.staleReason = REASONS[1];
            break;
          default: break;
        }
      }

      /** What the venue does not print is no trade of the tape's: it may be told a second time, at another price. */
      #trade(event) {
        if ((event.flags & NOT_PRINTABLE) !== 0 || event.printable === false) return;
        this.lastTrade = { price: event.price, quantity: event.quantity, sequence: event.sequence };
      }
    }

    const STREAM = "bulkhead.v1.bin";
    const TOKEN_PREFIX = "bulkhead.token.";
    /** The most that the publisher reads of the offered subprotocols leaves so many characters. */
    export const TOKEN_LIMIT = 70;

    /** What is offered to the publisher. A page can set no header, so the token is a subprotocol; it is never chosen. */
    function offer(token) {
      if (token === "") return [STREAM];
      if (!/^[!-~]+$/.test(token) || token.length > TOKEN_LIMIT) {
        throw new TypeError(`a token is of 1 to ${TOKEN_LIMIT} visible ASCII characters`);
      }
      const text = btoa(token).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
      return [STREAM, TOKEN_PREFIX + text];
    }

    const makesBook = (channel) => BOOK_CHANNELS.includes(channel);
    /** Whether what the first one brings changes books that the second one makes: an execution is also a trade. */
    const feeds = (first, second) => second.channels.some(makesBook)
      && (first.channels.some(makesBook) || (second.channels.includes("orders") && first.channels.includes("trades")));
    /** Two subscriptions that change books of the same symbols. */
    const clash = (a, b) => a !== b && (feeds(a, b) || feeds(b, a))
      && (a.symbols === "*" || b.symbols === "*" || a.symbols.some((symbol) => b.symbols.includes(symbol)));
    const covers = (subscription, symbol) => subscription.symbols === "*" || subscription.symbols.includes(symbol);

    const DEFAULTS = {
      /** Milliseconds before the first new attempt; each further one waits twice as long, up to the second number. */
      backoff: 200,
      backoffLimit: 5000,
      /** What the publisher asks for, if it does. Over `ws:` whoever is in between can read it. */
      token: "",
      /** Milliseconds for the handshake and the hello. */
      timeout: 5000,
      WebSocket: globalThis.WebSocket,
      now: () => Date.now(),
      onEvent: () => {},
      onState: () => {},
      onReconnect: () => {},
      onError: () => {},
    };

    /** See the top of this file. Everything runs in the callbacks of one WebSocket at a time. */
    export class BulkheadClient {
      #options;
      #offer;
      #socket = null;
      #subscriptions = [];
      #nextId = 1;
      #timer = null;
      #watch = null;
      #attempts = 0;
      #closed = false;
      #hello = null;
      #chain = null;
      #input = "unknown";
      #lastFrame = 0;
      #books = new Map();
      #symbols = new Map();
      /** When the channel's own mark came, counted with snapshots: a book whose snapshot is newer is told by that. 0: there is none. */
      #channelStale = 0;
      #tick = 0;
      #lostAt = 0;
      #ended = false;

      /**
       * @param {string} url `ws://host:port` or `wss://host:port`; the path is added.
       * @param {object} options onEvent(event, book), onState(state), onReconnect(proof), onError(message); token, backoff, timeout.
       */
      constructor(url, options = {}) {
        this.url = url.replace(/\/+$/, "").replace(/\/v1\/stream$/, "") + "/v1/stream";
        this.#options = { ...DEFAULTS, ...options };
        this.#offer = offer(this.#options.token);
        this.connection = "new";
        /** Every reconnection so far. */
        this.proofs = [];
        this.statistics = { frames: 0, events: 0, connections: 0, replayed: 0 };
      }

      /**
       * @param {string[]|"*"} symbols
       * @returns {number} for ``unsubscribe``.
       */
      subscribe(symbols, { channels = ["levels", "trades", "status", "defs"] } = {}) {
        // place: behind what it has; whole: its snapshot is complete; replay: what is being made good.
        const subscription = {
          id: this.#nextId, symbols, channels, sub: null, place: null, whole: false, replay: null, proves: false,
        };
        this.#nextId += 1;
        this.#subscriptions.push(subscription);
        if (this.connection === "new") this.#connect();
        else if (this.#hello !== null) this.#request(subscription, "snapshot");
        return subscription.id;
      }

      unsubscribe(id) {
        const subscription = this.#subscriptions.find((each) => each.id === id);
        if (subscription === undefined) return;
        this.#subscriptions = this.#subscriptions.filter((each) => each !== subscription);
        if (subscription.sub !== null) this.#send({ op: "unsubscribe", id: this.#nextId++, sub: subscription.sub });
        for (const symbol of subscription.symbols === "*" ? [...this.#symbols.keys()] : subscription.symbols) {
          const others = this.#subscriptions.filter((each) => covers(each, symbol));
          const book = this.book(symbol);
          if (others.length === 0) {
            if (book !== undefined) this.#books.delete(book.instrument);
            this.#symbols.delete(symbol);
          } else if (book !== undefined && subscription.channels.some(makesBook) && !others.some((each) => each.channels.some(makesBook))) {
            // Nobody is told of its levels any more.
            book.clear();
            book.complete = false;
          }
        }
      }

      /** The book of a symbol; undefined until the server has said something of it. */
      book(symbol) { return this.#books.get(this.#symbols.get(symbol)); }
      books() { return this.#books.values(); }
      get hello() { return this.#hello; }
      get input() { return this.#input; }
      /** The venue's sequence number up to which everything that was asked for has come. */
      get sequence() {
        const places = this.#subscriptions.map((each) => each.place?.sequence ?? 0);
        return places.length === 0 ? 0 : Math.min(...places);
      }
      get ended() { return this.#ended; }
      /** Attempts in a row that ended without a hello. A browser does not tell why: nobody there, no trust in the certificate, no token. */
      get failures() { return this.#hello === null ? this.#attempts : 0; }

      /**
       * Whether a symbol's book may be believed now, and why not.
       * @returns {{ok: boolean, reason: string, age: number}} age: milliseconds since the last frame of any kind.
       */
      trustworthy(symbol) {
        const age = this.#lastFrame === 0 ? Infinity : this.#options.now() - this.#lastFrame;
        const no = (reason) => ({ ok: false, reason, age });
        if (this.connection !== "open") return no("not connected");
        if (this.#hello !== null && age > 2.5 * this.#hello.heartbeat_ms) return no("the publisher is silent");
        if (this.#input !== "live") return no(`the publisher's input is ${this.#input}`);
        const mine = this.#subscriptions.filter((each) => covers(each, symbol));
        if (mine.length === 0) return no("not subscribed");
        if (!mine.some((each) => each.whole && each.replay === null)) return no("catching up");
        const book = this.book(symbol);
        if (book === undefined) return no("no such book yet");
        if (!book.complete) return no("the snapshot is not complete");
        if (book.quarantined) return no("in quarantine");
        if (this.#channelStale > book.snapshotAt) return no("part of the stream is lost");
        if (book.stale) return no(`stale: ${book.staleReason}`);
        return { ok: true, reason: "", age };
      }

      close() {
        this.#closed = true;
        clearTimeout(this.#timer);
        clearInterval(this.#watch);
        this.#socket?.close(1000);
        this.#setState("closed");
      }

      // Connections

      #setState(state) {
        if (this.connection === state) return;
        this.connection = state;
        this.#options.onState(state);
      }

      #connect() {
        this.#setState("connecting");
        const socket = new this.#options.WebSocket(this.url, this.#offer);
        socket.binaryType = "arraybuffer";
        this.#socket = socket;
        const opened = this.#options.now();
        const mine = (body) => (argument) => {
          if (this.#socket !== socket) return;
          try {
            body(argument);
          } catch (error) {
            this.#options.onError(`${error.message}`);
            this.#lost();
          }
        };
        socket.onmessage = mine((message) => {
          this.#lastFrame = this.#options.now();
          if (typeof message.data === "string") this.#control(JSON.parse(message.data));
          else this.#frame(new DataView(message.data));
        });
        socket.onclose = mine((event) => {
          if (event.code === UNAUTHORIZED) this.#options.onError("the token is not in force any more");
          this.#lost();
        });
        socket.onerror = () => {};
        clearInterval(this.#watch);
        this.#watch = setInterval(mine(() => {
          const now = this.#options.now();
          const limit = this.#hello === null ? this.#options.timeout : 2.5 * this.#hello.heartbeat_ms;
          if (now - Math.max(opened, this.#lastFrame) > limit) throw new ProtocolError("the publisher is silent");
        }), 250);
      }

      #lost() {
        const socket = this.#socket;
        this.#socket = null;
        clearInterval(this.#watch);
        if (socket !== null && socket.readyState < 2) socket.close();
        // What is known up to here stays; the places in the stream are where to go on.
        if (this.#hello !== null) this.#lostAt = this.#options.now();
        this.#hello = null;
        this.#chain = null;
        this.#input = "unknown";
        for (const each of this.#subscriptions) each.sub = null;
        if (this.#closed) return;
        this.#setState("lost");
        const delay = Math.min(this.#options.backoff * 2 ** Math.min(this.#attempts, 10), this.#options.backoffLimit);
        this.#attempts += 1;
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#connect(), delay * (0.75 + Math.random() / 2));
      }

      #send(request) { this.#socket?.send(JSON.stringify(request)); }

      #request(subscription, start) {
        subscription.start = start;
        const { id, symbols, channels } = subscription;
        this.#send({ op: "subscribe", id, symbols, channels, start });
      }

      /** The server's epoch, and what a reconnection starts with. */
      #begin(hello) {
        this.#hello = hello;
        this.#input = "live";
        this.#attempts = 0;
        this.statistics.connections += 1;
        const isAnother = ({ place }) => place?.session && hello.session && place.session !== hello.session;
        if (this.#subscriptions.some(isAnother)) this.#startAnew();
        for (const subscription of this.#subscriptions) {
          const { place } = subscription;
          subscription.replay = null;
          subscription.takenUp = null;
          subscription.proves = place !== null;
          if (place === null) {
            this.#request(subscription, "snapshot");
          } else if (hello.session !== undefined && subscription.whole && !this.#subscriptions.some((other) => clash(other, subscription))) {
            // A server that names its session takes cursors. Replays of two subscriptions that change the same books come one after the
            // other, with the same events: those begin with snapshots.
            const cursor = { epoch: place.epoch, seq: place.sequence };
            if (place.index !== null) cursor.index = place.index;
            if (place.session) cursor.session = place.session;
            subscription.replay = { after: place.sequence, records: 0, cursor, tries: 0 };
            this.#request(subscription, cursor);
          } else {
            this.#restart(subscription);
          }
        }
        this.#setState("open");
      }

      /** It is another stream: the numbers of before mean nothing in it, nor do the books. */
      #startAnew() {
        const before = this.#subscriptions.filter((each) => each.place !== null);
        const places = before.map((each) => each.place.sequence);
        for (const each of this.#subscriptions) Object.assign(each, { place: null, whole: false, replay: null, proves: false });
        this.#books.clear();
        this.#symbols.clear();
        this.#channelStale = 0;
        this.#ended = false;
        before.forEach((each, at) => this.#prove(each, places[at], { nothingMissed: false, missed: null, how: "another stream" }));
      }

      /** From its first number on every event comes; what lies between is what was missed. */
      #restart(subscription) {
        subscription.replay = null;
        subscription.whole = false;
        this.#request(subscription, "live");
      }

      /** A publisher that has just begun may still be reading its way up. */
      #retry(request) {
        const socket = this.#socket;
        setTimeout(() => { if (this.#socket === socket && this.#hello !== null) request(); }, 250);
      }

      #prove(subscription, after, proof) {
        subscription.proves = false;
        const entry = {
          epoch: this.#hello.epoch, after, subscription: subscription.id,
          milliseconds: this.#options.now() - this.#lostAt, ...proof,
        };
        this.proofs.push(entry);
        if (this.proofs.length > 100) this.proofs.shift();
        this.#options.onReconnect(entry);
      }

      #control(message) {
        if (message.type === "hello") {
          this.#begin(message);
          return;
        }
        const subscription = this.#subscriptions.find(
          (each) => each.id === message.id || (message.sub !== undefined && each.sub === message.sub));
        switch (message.type) {
          case "subscribed": this.#subscribed(message, subscription); break;
          case "resolved": this.#name(message.symbol, message.instrument); break;
          case "caught_up":
            if (subscription === undefined) break;
            if (subscription.replay !== null && message.from !== undefined) this.#replayed(message, subscription);
            subscription.whole = true;
            break;
          case "error":
            this.#options.onError(`${message.code}: ${message.msg}`);
            if (subscription === undefined) break;
            if (subscription.replay !== null) {
              const { replay } = subscription;
              const isOfEpoch = message.field === "start.epoch";
              if (message.code === "wrong_session" || (isOfEpoch && message.code === "future_cursor")) {
                this.#startAnew();
                this.#lost();
              } else if (isOfEpoch && message.code === "outdated_cursor") {
                // An earlier life of the stream: what was received behind the place where it was taken up does not count.
                subscription.takenUp = message.oldest.seq + 1;
                for (const book of this.#books.values()) if (covers(subscription, book.symbol)) book.complete = false;
                this.#restart(subscription);
              } else if (message.sub === undefined && ["replay_unavailable", "future_cursor"].includes(message.code)
                && replay.records === 0 && replay.tries < 40) {
                // Of a subscription that had begun, the publisher has been patient enough.
                replay.tries += 1;
                this.#retry(() => this.#request(subscription, replay.cursor));
              } else {
                // The cursor is not to be had: the hole is told once it is known how far it goes.
                this.#restart(subscription);
              }
            } else if (message.code === "snapshot_unavailable") {
              this.#retry(() => this.#request(subscription, "snapshot"));
            }
            break;
          default: break;
        }
      }

      #name(symbol, instrument) {
        this.#symbols.set(symbol, instrument);
        const book = this.#bookOf(instrument);
        book.symbol = symbol;
      }

      #bookOf(instrument) {
        let book = this.#books.get(instrument);
        if (book === undefined) {
          book = new Book(instrument);
          this.#books.set(instrument, book);
        }
        return book;
      }

      #subscribed(message, subscription) {
        for (const [symbol, instrument] of Object.entries(message.instruments ?? {})) this.#name(symbol, instrument);
        if (subscription === undefined) {
          // Nobody wants it any more: it was given up before this answer.
          this.#send({ op: "unsubscribe", id: this.#nextId++, sub: message.sub });
          return;
        }
        subscription.sub = message.sub;
        if (subscription.start !== "live") return;
        // Live events come from here on; the books start again behind them.
        if (subscription.proves) {
          const { sequence, index } = subscription.place;
          const { takenUp } = subscription;
          const last = message.first_seq - 1;
          // A stream that was taken up again may have yet to come back to the place: that is no other stream.
          if (takenUp === null && last < (index === null ? sequence : sequence - 1)) {
            this.#startAnew();
            this.#lost();
            return;
          }
          const first = Math.min(index === null ? sequence + 1 : sequence, takenUp ?? Infinity);
          const missed = last >= first ? { first, last } : null;
          const how = takenUp === null ? { how: "first number" } : { how: "taken up", takenUp };
          // Another life of the stream may have lost what lies in front of its own first number.
          const isSameLife = subscription.place.epoch === this.#hello.epoch;
          this.#prove(subscription, sequence, { nothingMissed: missed === null && takenUp === null && isSameLife, missed, ...how });
          // All up to here is told, should the connection end before the snapshots are complete.
          subscription.place = this.#here(last, null);
        }
        this.#send({ op: "unsubscribe", id: this.#nextId++, sub: message.sub });
        subscription.sub = null;
        this.#request(subscription, "snapshot");
      }

      #replayed(message, subscription) {
        const { records, cursor } = subscription.replay;
        if (records !== message.records) {
          throw new ProtocolError(`the replay had ${records} entries of ${message.records}`);
        }
        subscription.replay = null;
        this.statistics.replayed += records;
        subscription.place = this.#here(message.seq, null);
        if (subscription.proves) {
          this.#prove(subscription, cursor.seq, { nothingMissed: true, missed: null, how: "replay", records, through: message.seq });
        }
      }

      // Frames

      #frame(view) {
        if (view.byteLength < 32 || view.getUint16(0, true) !== 0x4b42) throw new ProtocolError("not a frame");
        const header = {
          block: view.getUint16(2, true), template: view.getUint16(4, true), epoch: view.getUint32(8, true),
          flags: view.getUint16(12, true), count: view.getUint16(14, true), sequence: number(view, 16),
          previous: number(view, 24),
        };
        if (header.previous !== (this.#chain ?? header.previous)) {
          throw new ProtocolError(`the chain is broken: ${header.previous} behind ${this.#chain}`);
        }
        this.#chain = header.sequence;
        this.statistics.frames += 1;
        const block = 32;
        const entries = block + header.block;
        switch (header.template) {
          case TEMPLATE.events: this.#events(view, entries, header, true); this.#moved(header); break;
          case TEMPLATE.replay: this.#replay(view, block, entries, header); break;
          case TEMPLATE.snapshotBegin: this.#snapshot(view.getUint32(block + 4, true), false); break;
          case TEMPLATE.snapshotOrders: this.#events(view, entries, header, false); break;
          case TEMPLATE.snapshotEnd: this.#snapshot(view.getUint32(block + 4, true), true); break;
          case TEMPLATE.heartbeat: this.#setInput(view.getUint8(block + 8)); this.#moved(header); break;
          case TEMPLATE.status: this.#setInput(view.getUint8(block)); break;
          default: break;
        }
      }

      /** Everything up to this number has come, unless the frame ends within a message. */
      #moved(header) {
        if ((header.flags & MESSAGE_CONTINUES) === 0) this.#advance(header.sequence, null);
      }

      #here(sequence, index) {
        return { sequence, index, epoch: this.#hello.epoch, session: this.#hello.session };
      }

      /** The subscriptions that are live have come this far: through a message, or an event of it. */
      #advance(sequence, index) {
        for (const each of this.#subscriptions) {
          if (each.whole && each.replay === null && each.sub !== null) each.place = this.#here(sequence, index);
        }
      }

      #setInput(value) {
        const input = INPUT[value] ?? `unknown (${value})`;
        if (input === this.#input) return;
        this.#input = input;
        this.#options.onState(this.connection);
      }

      #snapshot(instrument, ends) {
        const book = this.#bookOf(instrument);
        if (!ends) {
          book.clear();
          this.#tick += 1;
          book.snapshotAt = this.#tick;
        }
        book.complete = ends;
        if (ends) this.#options.onEvent(null, book);
      }

      #replay(view, block, entries, header) {
        const subscription = this.#subscriptions.find((each) => each.sub === view.getUint32(block, true));
        if (subscription?.replay == null) throw new ProtocolError("a replay that nobody asked for");
        const replay = subscription.replay;
        if (number(view, block + 8) !== replay.after) {
          throw new ProtocolError(`the replay goes on behind ${number(view, block + 8)}, not ${replay.after}`);
        }
        replay.after = number(view, block + 16);
        replay.records += header.count;
        const last = this.#events(view, entries, header, false);
        // Of the last message more may follow.
        if (last !== null) subscription.place = this.#here(last.sequence, last.index);
      }

      #events(view, offset, header, isLive) {
        const now = this.#options.now();
        let event = null;
        for (let left = header.count; left > 0; left -= 1) {
          if (offset + 40 > view.byteLength) throw new ProtocolError("an entry lies beyond the frame");
          event = decodeEvent(view, offset);
          offset += event.bytes;
          this.statistics.events += 1;
          this.#apply(event, now);
        }
        if (isLive && event !== null && (header.flags & MESSAGE_CONTINUES) !== 0) this.#advance(event.sequence, event.index);
        return event;
      }

      #mark(isStale) {
        this.#tick += 1;
        this.#channelStale = isStale ? this.#tick : 0;
      }

      #apply(event, now) {
        if (event.kind === KIND.endOfSession) this.#ended = true;
        if (event.instrument === 0) {
          if (event.kind === KIND.gap) this.#mark(event.reason !== REPLACED_BY_SNAPSHOT);
          if (event.kind === KIND.trust) {
            this.#mark(event.trust !== 0);
            if (event.trust === 0 && event.scope !== 1) for (const book of this.#books.values()) book.stale = false;
          }
          this.#options.onEvent(event, undefined);
          return;
        }
        const book = this.#bookOf(event.instrument);
        book.apply(event, now);
        if (event.kind === KIND.definition && event.symbol !== "") this.#symbols.set(event.symbol, event.instrument);
        this.#options.onEvent(event, book);
      }
    }

    """##

  static let icon = ##"""
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#10202b"/><path d="M6 8h5v16H6zM13.5 8h5v16h-5zM21 8h5v16h-5z" fill="#3fc9a0"/><path d="M6 15h5v2H6zM13.5 11h5v2h-5zM21 18h5v2h-5z" fill="#10202b"/></svg>

    """##
}
