#include "adapters/report/page.h"

#include "adapters/files/files.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Constants of ours, in pieces: compilers need not take longer literals than 4095 bytes. */
static const char *const style[] = {
    ":root{color-scheme:light dark;--bg:#f6f6f4;--panel:#fff;--ink:#181b20;--soft:#59616b;"
    "--line:#dcdcd6;--accent:#0a5fa8;--blue:#0072b2;--orange:#d55e00;--gold:#b97a00;"
    "--green:#00805d;--violet:#9a4f8c;--bar:#8fb8d6;--band:#0072b21f;--good:#00704f;"
    "--warn:#8f5f00;--bad:#b3341c;--chip:#ecebe6}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1014;--panel:#151a20;--ink:#e4e7eb;"
    "--soft:#98a2ad;--line:#2a313a;--accent:#6bb6ee;--blue:#56b4e9;--orange:#f0883e;"
    "--gold:#e6b23c;--green:#35c398;--violet:#d58fc4;--bar:#2f5f80;--band:#56b4e924;"
    "--good:#3fcf9f;--warn:#e6b23c;--bad:#ff7b5c;--chip:#222932}}\n"
    "*{box-sizing:border-box}html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}"
    "body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Helvetica Neue\",\"Noto Sans\",\"DejaVu Sans\",sans-serif;"
    "font-variant-numeric:tabular-nums}"
    "main,.top,footer{max-width:1240px;margin:0 auto;padding:0 24px}"
    "a{color:var(--accent)}h1,h2,h3{line-height:1.2;font-weight:650;letter-spacing:-.01em}"
    "h1{font-size:26px;margin:2px 0 6px;overflow-wrap:anywhere}"
    "h2{font-size:20px;margin:0 0 4px}h3{font-size:15px;margin:0}.scroll+h3{margin-top:22px}"
    "h3+.scroll{margin-top:8px}.scroll+.scroll{margin-top:12px}.panel+.scroll{margin-top:16px}"
    ".plots+.scroll{margin-top:20px}"
    "section{margin:40px 0;scroll-margin-top:56px}p{margin:8px 0;max-width:76ch}"
    ".soft,figcaption,.lead{color:var(--soft)}.lead{margin-bottom:16px}"
    "sub{font-size:.72em;line-height:0}sup{font-size:.72em;line-height:0}"
    "[title]{cursor:help}a[title],button[title]{cursor:pointer}"
    "code,.mono{font-family:ui-monospace,\"SF Mono\",Menlo,Consolas,\"DejaVu Sans Mono\",monospace;"
    "font-size:.86em;overflow-wrap:anywhere}\n",
    ".top{padding-top:26px}.brand{font-size:13px;letter-spacing:.08em;text-transform:uppercase;"
    "color:var(--soft)}.verdict{font-size:19px;line-height:1.45;margin:14px 0 4px;max-width:70ch}"
    ".verdict b{font-weight:680}"
    ".judge{display:inline-block;padding:1px 9px;border-radius:99px;font-size:12.5px;"
    "font-weight:600;border:1px solid currentColor;white-space:nowrap;vertical-align:2px}"
    ".judge.good{color:var(--good)}.judge.warn{color:var(--warn)}.judge.bad{color:var(--bad)}"
    "nav{position:sticky;top:0;z-index:5;background:var(--bg);border-bottom:1px solid var(--line);"
    "margin-top:18px}nav div{max-width:1240px;margin:0 auto;padding:8px 24px;display:flex;gap:18px;"
    "overflow-x:auto;scrollbar-width:none;white-space:nowrap}"
    "nav a{text-decoration:none;font-size:14px}nav a:hover{text-decoration:underline}"
    ".tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;"
    "margin:24px 0 0;padding:0}"
    ".tile{background:var(--panel);border:1px solid var(--line);border-radius:10px;"
    "padding:12px 14px}.tile dt{font-size:12.5px;color:var(--soft)}"
    ".tile dd{margin:0;font-size:22px;font-weight:620;line-height:1.3}"
    ".tile dd small{font-size:13px;font-weight:450;color:var(--soft)}"
    ".tile dd.more{font-size:13px;font-weight:400;color:var(--soft);line-height:1.4}\n",
    ".skies{display:grid;grid-template-columns:repeat(3,1fr);gap:14px}"
    "figure{margin:0}"
    ".sky{position:relative;background:#05060a;border-radius:6px;overflow:hidden;line-height:0}"
    ".sky img{width:100%;height:auto;display:block}"
    ".sky svg{position:absolute;inset:0;width:100%;height:100%}"
    "figcaption{font-size:13px;line-height:1.45;margin-top:6px}figcaption b{color:var(--ink)}"
    ".marks circle{fill:none;stroke-width:1.6;vector-effect:non-scaling-stroke;"
    "pointer-events:all}"
    ".marks .halo{stroke:#000b;stroke-width:3.6}"
    ".marks .up{stroke:#ffb000}.marks .down{stroke:#63c3ff;stroke-dasharray:4 2}"
    ".marks .flagged{stroke:#b9bec6;stroke-width:1;stroke-dasharray:2 2}"
    ".marks a:hover circle,.marks a:focus circle{stroke-width:3.5}"
    ".marks text{font-family:system-ui,sans-serif;font-weight:600;fill:#fff;paint-order:stroke;"
    "stroke:#000c;stroke-width:.2em;stroke-linejoin:round}"
    "#large:checked~.skies{grid-template-columns:1fr}#plain:checked~.skies .marks{display:none}"
    ".tools{display:flex;flex-wrap:wrap;gap:6px 16px;align-items:center;margin:8px 0 12px;"
    "font-size:14px}.switch{position:absolute;opacity:0}"
    ".switch+label,button{font:inherit;font-size:13.5px;color:var(--ink);background:var(--chip);"
    "border:1px solid var(--line);border-radius:7px;padding:3px 11px;cursor:pointer;"
    "display:inline-block;margin:8px 8px 12px 0}"
    ".switch:checked+label,button[aria-pressed=true]{background:var(--accent);color:var(--bg);"
    "border-color:var(--accent)}.switch:focus-visible+label,button:focus-visible,a:focus-visible,"
    "summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}"
    ".ramp{display:block;width:100%;height:9px;border-radius:3px;margin-top:4px}\n",
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,560px),1fr));"
    "gap:16px}.card{background:var(--panel);border:1px solid var(--line);border-radius:12px;"
    "padding:14px;scroll-margin-top:60px;min-width:0}"
    ".card:target{outline:3px solid var(--accent);outline-offset:1px}"
    ".card header{display:flex;flex-wrap:wrap;gap:4px 10px;align-items:baseline;margin-bottom:10px}"
    ".card h3{font-size:17px}.score{font-size:17px;font-weight:650;margin-left:auto}"
    ".rise{color:var(--orange)}.fade{color:var(--blue)}"
    ".badge{display:inline-block;background:var(--chip);border-radius:5px;padding:0 7px;"
    "font-size:12.5px;line-height:1.6;white-space:nowrap}"
    ".badge.reject{box-shadow:inset 0 0 0 1px var(--bad);color:var(--bad)}"
    ".cuts{display:grid;grid-template-columns:repeat(4,1fr);gap:8px}"
    ".cuts .sky img,.psfs .sky img{image-rendering:pixelated}"
    ".cuts figcaption{font-size:12px;margin-top:3px;white-space:nowrap;overflow:hidden;"
    "text-overflow:ellipsis}"
    ".over{stroke:#ffd34d;fill:none;stroke-width:1.5}.over path{vector-effect:non-scaling-stroke}"
    ".over.signed{stroke:#fff}"
    ".over text{stroke:#000c;stroke-width:.2em;paint-order:stroke;fill:#ffe08a;"
    "font-family:system-ui,sans-serif;font-weight:600}"
    ".facts{display:grid;grid-template-columns:repeat(4,1fr);gap:7px 12px;"
    "margin:12px 0 0;font-size:13.5px}.facts div{min-width:0}.facts dt{font-size:12px;"
    "color:var(--soft);line-height:1.3}.facts dd{margin:0;overflow-wrap:anywhere;line-height:1.35}"
    ".facts .wide{grid-column:span 2}"
    "details{background:var(--panel);border:1px solid var(--line);border-radius:12px;"
    "padding:0 16px;margin-top:18px}details[open]{padding-bottom:16px}"
    "summary{cursor:pointer;padding:12px 0;font-weight:600}details .card{background:var(--bg)}"
    ".empty{background:var(--panel);border:1px solid var(--line);border-radius:12px;"
    "padding:22px 24px}.empty p:first-child{font-size:18px;margin-top:0}\n",
    ".scroll{overflow:auto;background:var(--panel);border:1px solid var(--line);"
    "border-radius:10px}.tall{max-height:640px}"
    "table{border-collapse:collapse;font-size:13.5px;width:100%}"
    "th,td{padding:5px 10px;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}"
    "tbody tr:last-child>*{border-bottom:0}th{font-weight:600;font-size:12.5px;color:var(--soft)}"
    "thead th{position:sticky;top:0;background:var(--panel);vertical-align:bottom;z-index:1}"
    "th small{display:block;font-weight:400}.num{text-align:right;white-space:nowrap}"
    ".wide-table td{white-space:nowrap}.wide-table tr:target{background:var(--band)}"
    ".wide-table tbody tr:hover{background:var(--band)}"
    ".wide-table th:first-child,.wide-table td:first-child{position:sticky;left:0;"
    "background:var(--panel)}.wide-table thead th:first-child{z-index:2}"
    "th button{all:unset;cursor:pointer;font:inherit;color:inherit}"
    "th[aria-sort=ascending] button::after{content:\" \\25B4\"}"
    "th[aria-sort=descending] button::after{content:\" \\25BE\"}"
    "input[type=search]{font:inherit;font-size:14px;padding:4px 10px;border:1px solid var(--line);"
    "border-radius:7px;background:var(--panel);color:var(--ink);width:min(100%,320px)}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));"
    "gap:20px;margin-top:16px;align-items:start}.plots>*{min-width:0}.plots>figure,.panel{"
    "background:var(--panel);border:1px solid var(--line);"
    "border-radius:12px;padding:14px 14px 12px;min-width:0}"
    ".psfs{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:12px}"
    "svg.plot{display:block;width:100%;height:auto;max-height:430px}"
    ".plot text{font-family:inherit;fill:var(--soft)}.tick{font-size:11.5px}"
    ".label{font-size:12.5px}.mid{text-anchor:middle}.end{text-anchor:end}.power{font-size:8.5px}"
    ".it{font-style:italic}.sub{font-size:9px}\n",
    ".minor{stroke:var(--soft);stroke-width:.8}.plot "
    "path{fill:none}.grid{stroke:var(--line);stroke-width:.8}.frame{stroke:var(--soft);"
    "stroke-width:1}.bar{fill:var(--bar)}.bar.beyond{fill:var(--orange)}"
    ".curve{stroke-width:2;stroke-linejoin:round}.normal{stroke:var(--ink)}"
    ".rule{stroke:var(--soft);stroke-width:1}.rule.limit{stroke:var(--orange);"
    "stroke-dasharray:5 4;stroke-width:1.4}.rule.half{stroke:var(--blue);stroke-dasharray:2 3;"
    "stroke-width:1.6}.dots{stroke-linecap:round;stroke-width:5;stroke-opacity:.62}"
    ".dots.used{stroke:var(--blue)}.dots.unused{stroke:var(--gold);stroke-opacity:.5;"
    "stroke-width:4}.plot .rim{stroke:none;fill:var(--blue)}.plot .rim.unused{fill:var(--gold)}"
    ".dots.low{stroke:var(--blue)}.dots.high{stroke:var(--orange)}.dots.low.big,.dots.high.big{"
    "stroke-width:9;stroke-opacity:.85}.dots.low,.dots.high{stroke-opacity:.6}"
    ".band{fill:var(--band)}.ring{fill:none;stroke:var(--orange);stroke-width:1.8}"
    ".plot .arrows{stroke:var(--blue);stroke-width:1.3;stroke-linecap:round}"
    ".dots.base{stroke:var(--blue);stroke-width:3.4;stroke-opacity:1}"
    ".curve.science{stroke:var(--orange)}.curve.reference{stroke:var(--blue)}"
    ".curve.difference{stroke:var(--green);stroke-dasharray:6 3}"
    ".plot .error{stroke:var(--blue);stroke-width:1.8}.point{fill:var(--blue)}"
    ".key{display:inline-block;width:10px;height:10px;border-radius:99px;margin:0 3px 0 1px;"
    "vertical-align:-.5px;background:var(--blue)}.key.o{background:var(--orange)}"
    ".key.g{background:var(--gold)}.key.n{background:var(--green)}.key.b{background:var(--bar);"
    "border-radius:2px}.key.e{background:var(--orange);border-radius:2px}"
    ".key.line{height:3px;width:16px;border-radius:2px;vertical-align:3px;background:var(--ink)}"
    ".key.veil{background:#8a5a9c;border-radius:2px}"
    ".notes{padding:0;margin:0;list-style:none}.notes li{padding:7px 0;"
    "border-bottom:1px solid var(--line);display:flex;gap:12px}.notes .badge{align-self:start;"
    "min-width:84px;text-align:center}"
    ".timing rect{fill:var(--bar)}.timing .cpu{fill:var(--blue)}.timing svg{width:100%;"
    "min-width:120px;height:16px;display:block}"
    "footer{padding-top:8px;padding-bottom:40px;color:var(--soft);font-size:13px}"
    ".hash{font-size:.8em;color:var(--soft)}.defs{position:absolute;width:0;height:0}\n",
    "@media(max-width:960px){.tiles{grid-template-columns:repeat(2,1fr);gap:8px}}"
    "@media(max-width:760px){main,.top,footer{padding:0 14px}.top{padding-top:18px}"
    "nav div{padding:8px 14px}h1{font-size:21px}.verdict{font-size:17px}"
    ".skies{grid-template-columns:1fr}"
    ".tile{padding:9px 11px}.tile dd{font-size:19px}section{margin:30px 0}}"
    "@media(max-width:520px){.cuts{grid-template-columns:1fr 1fr}.card{padding:11px}"
    ".facts{grid-template-columns:1fr 1fr}.label{font-size:14px}.tick{font-size:13px}}"
    "@media print{:root{--bg:#fff;--panel:#fff;--ink:#000;--soft:#444;--line:#bbb;--accent:#000}"
    "nav,.tools,.switch,.switch+label,button{display:none}section{margin:20px 0}"
    ".card,figure,.tile,tr{break-inside:avoid}body{font-size:11px}.tall{max-height:none}"
    ".wide-table{font-size:7px}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n",
    NULL};

/* Conveniences only: sorting, filtering and blinking. The page is whole without them. */
static const char *const script[] = {
    "\"use strict\";(()=>{const $=(s,r=document)=>[...r.querySelectorAll(s)];"
    "const key=c=>{const t=c.dataset.k??c.textContent.trim();const n=parseFloat(t);"
    "return t===''||t==='\\u2013'?null:isNaN(n)?t:n};"
    "for(const table of $('table.sortable')){const heads=$('thead th',table);"
    "heads.forEach((th,i)=>{const b=document.createElement('button');b.type='button';"
    "while(th.firstChild)b.append(th.firstChild);th.append(b);b.addEventListener('click',()=>{"
    "const up=th.getAttribute('aria-sort')==='descending';"
    "heads.forEach(h=>h.removeAttribute('aria-sort'));"
    "th.setAttribute('aria-sort',up?'ascending':'descending');const body=table.tBodies[0];"
    "const rows=[...body.rows].map(r=>[key(r.cells[i]),r]);"
    "rows.sort(([a],[b])=>a===null?b===null?0:1:b===null?-1:"
    "(typeof a===typeof b?a<b?-1:a>b?1:0:typeof a==='number'?-1:1)*(up?1:-1));"
    "body.append(...rows.map(r=>r[1]))})})}\n"
    "const rows=$('#table tbody tr');if(rows.length>8){const box=document.createElement('input');"
    "box.type='search';box.placeholder='Show rows with\\u2026 (a flag, a coordinate)';"
    "box.setAttribute('aria-label','Filter the table');const clean=document.createElement('label');"
    "const tick=document.createElement('input');tick.type='checkbox';"
    "clean.append(tick,' only without flags');const said=document.createElement('span');"
    "said.className='soft';said.setAttribute('aria-live','polite');"
    "const show=()=>{const t=box.value.trim().toLowerCase();let n=0;for(const r of rows){"
    "const ok=(!t||r.textContent.toLowerCase().includes(t))&&(!tick.checked||!r.dataset.f);"
    "r.hidden=!ok;n+=ok}said.textContent=n+' of '+rows.length+' rows'};"
    "box.addEventListener('input',show);tick.addEventListener('change',show);"
    "$('#table .tools')[0]?.append(box,clean,said);show()}\n",
    "const views=$('.skies img');if(views.length>1){const b=document.createElement('button');"
    "b.type='button';b.textContent='Blink science / reference';let timer=0;const own=views[0].src;"
    "const name=$('.skies figcaption b')[0];const text=name?.textContent;b.setAttribute("
    "'aria-pressed','false');b.addEventListener('click',()=>{if(timer){clearInterval(timer);"
    "timer=0;views[0].src=own;name.textContent=text}else{let on=false;timer=setInterval(()=>{"
    "on=!on;views[0].src=on?views[1].src:own;name.textContent=on?'Reference (blinking)':text},650)}"
    "b.setAttribute('aria-pressed',String(!!timer))});$('#large+label')[0]?.after(b)}\n"
    "for(const c of $('.cuts')){const i=$('img',c);if(i.length<2)continue;const a=i[0].src;"
    "i[0].title='Press to see the reference';const see=s=>()=>{i[0].src=s};"
    "i[0].addEventListener('pointerdown',see(i[1].src));"
    "for(const e of['pointerup','pointerleave','pointercancel'])"
    "i[0].addEventListener(e,see(a))}\n"
    "const open=()=>{const e=location.hash.length>1&&document.getElementById("
    "decodeURIComponent(location.hash.slice(1)));const d=e&&e.closest('details');"
    "if(d&&!d.open){d.open=true;e.scrollIntoView()}};addEventListener('hashchange',open);open()})()"
    ";"
    "\n",
    NULL};

/* 'sha256-...' of the pieces put together, as a Content-Security-Policy wants it. */
static void write_hash(FILE *out, const char *const *pieces)
{
    char all[32768];
    size_t size = 0;
    for (; *pieces; pieces++) {
        size_t length = strlen(*pieces);
        assert(length <= sizeof all - size); /* a constant of ours outgrew its buffer */
        memcpy(all + size, *pieces, length);
        size += length;
    }
    char hex[65], text[48];
    uint8_t digest[32];
    aid_sha256(all, size, hex);
    for (int i = 0; i < 32; i++) {
        char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        digest[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    size_t length = aid_base64(digest, sizeof digest, text);
    fputs("'sha256-", out);
    fwrite(text, 1, length, out);
    fputs("'", out);
}

static void write_pieces(FILE *out, const char *const *pieces)
{
    for (; *pieces; pieces++)
        fputs(*pieces, out);
}

void aid_page_head_titled(FILE *out, const char *title, const char *kind)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "img-src data:; style-src ",
          out);
    write_hash(out, style);
    fputs("; script-src ", out);
    write_hash(out, script);
    fputs("; base-uri 'none'; form-action 'none'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"referrer\" content=\"no-referrer\">\n<title>",
          out);
    aid_html_text(out, title);
    fputs(" &#183; ", out);
    fputs(kind, out);
    fputs("</title>\n<style>", out);
    write_pieces(out, style);
    fputs("</style>\n</head>\n", out);
}

void aid_page_head(const aid_report_page *page)
{
    const char *title = page->facts->title;
    aid_page_head_titled(page->out, title ? title : page->result->science.name, "AstrID report");
}

void aid_page_script_to(FILE *out)
{
    fputs("<script>", out);
    write_pieces(out, script);
    fputs("</script>\n", out);
}

void aid_page_script(const aid_report_page *page)
{
    aid_page_script_to(page->out);
}
