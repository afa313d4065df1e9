"""How the report looks, on screens of any width, in the dark, and on paper.

Colours are Okabe and Ito's, which people with any kind of colour vision can tell apart. Text is never in them alone.
"""

STYLE = """
:root{color-scheme:light dark;--page:#f6f6f4;--card:#fff;--ink:#1b1d1f;--soft:#5b6167;--line:#d9dbdc;--faint:#ececea;
--ok:#0072b2;--slow:#e69f00;--info:#b0528a;--fail:#d55e00;--good:#007a59;--band:#f0e44240;--healing:#56b4e92e;
--guard:#56b4e9;--link:#00598c}
@media (prefers-color-scheme:dark){:root{--page:#141618;--card:#1d2023;--ink:#e8e9ea;--soft:#a5abb1;--line:#3a3f44;
--faint:#282c30;--ok:#56b4e9;--slow:#e69f00;--info:#d98ab5;--fail:#f0762e;--good:#1fb58a;--band:#f0e4422b;
--healing:#56b4e933;--guard:#8fd0f5;--link:#8cc8f0}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
header,main{max-width:1120px;margin:0 auto;padding:0 16px}
header{padding-top:28px}
h1{margin:0;font-size:1.7rem;line-height:1.2}h2{margin:0 0 .3rem;font-size:1.35rem;line-height:1.25}
h3{margin:1.6rem 0 .5rem;font-size:1.08rem}h4{margin:1.5rem 0 .4rem;font-size:1rem}
p{margin:.4rem 0 .8rem;max-width:75ch}a{color:var(--link)}
code{font:.9em ui-monospace,monospace;background:var(--faint);border-radius:3px;padding:.05em .3em}
small{display:block;color:var(--soft);font-size:.8rem;line-height:1.3}
ul{padding-left:1.2rem;margin:.4rem 0 .8rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:20px 0}
.under{color:var(--soft)}.note{color:var(--soft);font-size:.9rem}
.threats li{margin-bottom:.5rem;max-width:80ch}

.tally{list-style:none;display:flex;flex-wrap:wrap;gap:8px;padding:0}
.tally li{display:flex;align-items:center;gap:8px;border:1px solid var(--line);border-radius:8px;
padding:5px 12px 5px 6px;
background:var(--card)}
.tally b{font-size:1.2rem}
.verdict{display:inline-flex;align-items:center;gap:6px;font-weight:650;font-size:.88rem;white-space:nowrap;
color:var(--ink)}
.verdict i,.tally i{display:inline-grid;place-items:center;width:1.35em;height:1.35em;border-radius:4px;
font-style:normal;
font-weight:700;line-height:1;color:#fff}
.v-pass i{background:#007a59}.v-fail i{background:#b94a00;border-radius:50%}
.v-unknown i{background:transparent;color:var(--ink);border:2px dashed var(--info)}

table{border-collapse:separate;border-spacing:0;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.8rem;line-height:1.25;vertical-align:bottom;
overflow-wrap:normal}
th,td{padding:6px 10px 6px 0;border-bottom:1px solid var(--line)}td{vertical-align:top}
th:last-child,td:last-child{padding-right:0}
.n{text-align:right}.figures td,.operations td{white-space:nowrap}.figures th,.operations th{padding-right:14px}
.figures td,.operations td{padding-right:14px}
.operations td:last-child{white-space:normal;min-width:16rem}.operations{font-size:.82rem}
.figures td:first-child,.operations td:first-child{font-weight:600}
.wide{overflow-x:auto;max-width:100%}
.figures td:first-child,.figures th:first-child{position:sticky;left:0;background:var(--card)}
.o-f{color:var(--fail);font-weight:600}.o-u,.o-n{color:var(--info);font-style:italic}
.overview td:first-child{min-width:11rem;font-weight:600}.overview small{font-weight:400}
.overview .n{white-space:nowrap;overflow-wrap:normal}
.findings code{overflow-wrap:anywhere}.overview small{white-space:normal}
.findings td:nth-child(1){width:8.5rem}.findings td:nth-child(2){width:30%}.findings td:nth-child(3){width:8rem}
.points{width:120px;height:22px;display:block;overflow:visible}

dl{display:grid;grid-template-columns:minmax(7rem,max-content) minmax(0,1fr);gap:3px 16px;margin:.4rem 0;
font-size:.9rem}
dt{color:var(--soft);max-width:16rem}dd{margin:0}dd dl{margin:0}

details{margin:.5rem 0}summary{cursor:pointer}
summary>h3{display:inline;margin:0 8px 0 2px}
.trial{border-top:1px solid var(--line);padding-top:.8rem;margin-top:.8rem}.gist{color:var(--soft);margin-left:8px}
.evidence{margin:.15rem 0 0;font-size:.85rem;color:var(--soft)}.evidence summary{width:max-content;max-width:100%}
.evidence ul{margin:.2rem 0}
.rows,.environment{border-top:1px solid var(--line);padding-top:.5rem}

figure{margin:0 0 .8rem}figcaption{color:var(--soft);font-size:.85rem;margin-top:.3rem;max-width:90ch}
.fig{margin:0 4px 0 52px}.plot{position:relative}.plot>svg{display:block;width:100%}
.plot svg path,.points path,.key path{vector-effect:non-scaling-stroke;fill:none}
.xs{position:relative;height:18px;margin-top:2px;font-size:11px;color:var(--soft)}
.xs span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.y{position:absolute;right:100%;margin-right:5px;transform:translateY(-50%);font-size:11px;line-height:1.1;
color:var(--soft);white-space:nowrap}
.strip{position:absolute;left:0;right:0;height:16px;display:flex;justify-content:space-between;gap:8px;font-size:11px;
line-height:16px;pointer-events:none;white-space:nowrap}
.strip b,.strip span{background:color-mix(in srgb,var(--card) 75%,transparent);padding:0 3px;border-radius:3px;
overflow:hidden;text-overflow:ellipsis}
.strip b{font-weight:600}.strip span{color:var(--soft);flex-shrink:0}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;padding:0;margin:.2rem 0 .6rem;font-size:.82rem;
color:var(--soft)}
.legend li{display:flex;align-items:center;gap:6px}
.key{width:16px;height:20px;flex:none}
.marks{position:relative;height:20px}
.mark{font:600 10px/15px system-ui,sans-serif;min-width:17px;height:17px;text-align:center;border-radius:9px;
border:1px solid;padding:0 3px;font-style:normal;background:var(--card);color:var(--ink)}
.marks .mark{position:absolute;transform:translateX(-50%)}
.m-fault{border-color:var(--ink);background:var(--ink);color:var(--card)}
.m-guard{border-color:var(--guard);border-width:2px;line-height:13px}
.m-vip{border-color:var(--good);border-style:dashed}.m-tcp{border-color:var(--soft);border-style:dotted}
.m-whole{border-color:var(--good);background:#007a59;color:#fff}
.listed{list-style:none;padding:0;margin:.3rem 0;font-size:.88rem;columns:2 26rem;column-gap:24px}
.listed li{display:flex;gap:7px;align-items:baseline;break-inside:avoid;margin-bottom:2px}
.listed b{flex:none;min-width:4.2em;text-align:right;color:var(--ink);font-variant-numeric:tabular-nums;
font-weight:600}
.listed .mark{flex:none}

.grid{stroke:var(--line);stroke-width:1}.base{stroke:var(--soft);stroke-width:1;opacity:.6}
.plot svg .band,.key .band{fill:var(--band)}.plot svg .healing,.key .healing{fill:var(--healing)}
.t-ok{stroke:var(--ok);stroke-width:1.5}.t-slow{stroke:var(--slow);stroke-width:2}
.t-info,.p-info{stroke:var(--info);stroke-width:9;stroke-linecap:round}
.hole{stroke:var(--card);stroke-width:4;stroke-linecap:round}
.t-fail{stroke:var(--fail);stroke-width:2.5}
.plot svg .s-ok{fill:var(--ok)}.plot svg .s-slow{fill:var(--slow)}.plot svg .s-info{fill:var(--info)}
.plot svg .s-fail{fill:var(--fail)}.plot svg .s-good{fill:var(--good)}.plot svg .s-poor{fill:var(--slow)}
.p-ok{stroke:var(--ok);stroke-width:3.5;stroke-linecap:round;opacity:.75}
.p-slow{stroke:var(--slow);stroke-width:5;stroke-linecap:square}
.p-fail{stroke:var(--fail);stroke-width:1.8}
.l-fault{stroke:var(--ink);stroke-width:1.2}.l-guard{stroke:var(--guard);stroke-width:1.2;stroke-dasharray:2 2}
.l-vip{stroke:var(--good);stroke-width:1;stroke-dasharray:5 3}.l-tcp{stroke:var(--soft);stroke-width:1;
stroke-dasharray:1 3}
.l-whole{stroke:var(--good);stroke-width:1.2}
.k-curve{stroke:var(--ok);stroke-width:2.2}.k-seen{stroke:var(--fail);stroke-width:2}
.k-healed{stroke:var(--ok);stroke-width:7;stroke-linecap:round;opacity:.8}.k-censored{stroke:var(--fail);
stroke-width:2}
.limit{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 2}
.plot svg .w-bar{fill:var(--ok)}

@media screen and (max-width:820px){
section{padding:14px 12px;margin:12px 0;border-radius:8px}header,main{padding-left:8px;padding-right:8px}
header{padding-top:16px}
.cards thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.cards,.cards tbody{display:block}
.cards tr{display:block;padding:8px 0;border-bottom:1px solid var(--line)}
.cards td{display:grid;grid-template-columns:8.2rem minmax(0,1fr);gap:0 10px;border:0;padding:2px 0;
width:auto!important;text-align:left;white-space:normal}
.cards td::before{content:attr(data-label);color:var(--soft);font-size:.82rem;font-weight:400}
.cards td>*{grid-column:2}
.cards.findings tr{display:flex;flex-wrap:wrap;gap:2px 12px;align-items:center}
.cards.findings td{display:block}.cards.findings td::before{content:none}
.findings td:nth-child(3){order:1}.findings td:nth-child(2),.findings td:nth-child(4){order:2;flex:1 0 100%}
.findings td:nth-child(2){color:var(--soft)}.findings td small{display:inline}
.cards.overview td:first-child{display:block;font-size:1rem;margin-bottom:4px}
.cards.overview td:first-child::before{content:none}
.fig.bare{margin-left:4px}
dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 6px}dd dl{padding-left:12px}
}
@media print{
:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--faint:#f2f2f2;--ok:#0072b2;
--slow:#e69f00;--info:#a04a7c;--fail:#c25500;--good:#007a59;--band:#f0e44240;--healing:#56b4e92e;--guard:#56b4e9;
--link:#000}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
html{font-size:10pt}body{font-size:10pt}section{border:0;padding:0;margin:0 0 18pt}header,main{max-width:none;padding:0}
.scenario{break-before:page}figure,tr,.listed li{break-inside:avoid}h2,h3,h4,summary{break-after:avoid}
.wide{overflow:visible}.overview,.findings{font-size:8pt}th{font-size:7pt}.figures,.operations{font-size:7pt}
.figures td,.figures th{padding-right:4pt;
white-space:normal}
.evidence::details-content,.holds::details-content,.environment::details-content{content-visibility:visible;display:block}
}
@page{margin:14mm}
"""
