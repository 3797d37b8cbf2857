R"page(
<a class="skip" id="skip" href="#main"></a>
<header class="bar">
  <div class="row">
    <span class="brand" id="brand"></span>
    <span class="group">
      <span class="aside" id="step-name"></span>
      <button type="button" id="back">‹</button>
      <span class="count" id="step-count"></span>
      <button type="button" id="on">›</button>
      <button type="button" id="play">▶</button>
    </span>
    <span class="group">
      <button type="button" id="theme"></button>
      <button type="button" id="language"></button>
    </span>
  </div>
  <div class="rail" id="rail" role="listbox"></div>
</header>
<div class="page">
  <nav class="contents" id="contents"></nav>
  <main id="main" tabindex="-1">
    <noscript>This page draws itself with the script that it holds: please switch scripts on.<br>
      Esta página se dibuja con el programa que lleva dentro: active los scripts.</noscript>
  </main>
</div>
)page"
