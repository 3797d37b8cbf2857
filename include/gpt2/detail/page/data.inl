R"page(
// What the page knows: the walk (schema gpt2-walk/1), its packed arrays, and the filters of
// sampling, computed again here whenever a slider moves.

const walk = JSON.parse(document.getElementById("walk").textContent);
const model = walk.model;
const first = walk.window.first;  // the position of row 0 of every array
const rows = walk.window.count;
const epsilon = model.layer_norm_epsilon ?? 1e-5;

/** The 65536 values that two bytes can mean as IEEE half precision. */
const halves = (() => {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; ++bits) {
    const sign = bits >> 15 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
    table[bits] = exponent === 31 ? (fraction ? NaN : sign * Infinity)
      : exponent === 0 ? sign * fraction * 2 ** -24
      : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
})();

const unpacked = new WeakMap();

/** The numbers of a packed array, in one row; unpacked once. */
function numbers(packed) {
  if (!unpacked.has(packed)) {
    const bytes = atob(packed.f16);
    const values = new Float32Array(bytes.length / 2);
    for (let i = 0; i < values.length; ++i)
      values[i] = halves[bytes.charCodeAt(2 * i) | bytes.charCodeAt(2 * i + 1) << 8];
    unpacked.set(packed, values);
  }
  return unpacked.get(packed);
}

/** A number of the JSON, where what is not finite is a word. */
const number = value => typeof value === "string" ? Number(value) : value;

const triangle = row => row * (row + 1) / 2;

/** What head `head` of layer `layer` gives as `name` ("weights" or "scores") to row and column. */
function attention(name, layer, head, row, column) {
  const per_head = triangle(rows);
  return numbers(walk.layers[layer][name])[head * per_head + triangle(row) + column];
}

/** Row `row` of "q", "k" or "v" of a head: (D). */
function head_row(name, layer, head, row) {
  const packed = walk.layers[layer][name];
  const size = packed.shape[2], begin = (row * packed.shape[1] + head) * size;
  return numbers(packed).subarray(begin, begin + size);
}

/** A value of an array (H, W) of a layer. */
const of_head = (name, layer, head, row) =>
  numbers(walk.layers[layer][name])[head * rows + row];

/** What a head adds: the weighted sum of v over the rows shown, (D). */
function weighted_sum(layer, head, row) {
  const sum = new Float32Array(head_row("v", layer, head, 0).length);
  for (let column = 0; column <= row; ++column) {
    const weight = attention("weights", layer, head, row, column);
    head_row("v", layer, head, column).forEach((value, i) => { sum[i] += weight * value; });
  }
  return sum;
}

/** The steps whose row is shown: each reads its text so far and chooses one token. */
const steps = walk.steps.filter(step => step.position >= first);

/** How many rows the text of a step has. */
const rows_at = step => steps.length ? steps[step].position + 1 - first : rows;

/** Text of an id, and whether it is a text (else the number stands for it). */
function text_of(id) {
  const text = walk.vocabulary[id];
  return text === undefined ? { text: String(id), known: false } : { text, known: true };
}

/** Text of a row's token; bytes that are no whole characters as <0xC3>. */
function text_of_row(row) {
  const token = walk.tokens[row];
  if (token.text !== null && token.text !== undefined) return token.text;
  if (!token.hex) return String(token.id);
  return token.hex.replace(/../g, pair => `<0x${pair.toUpperCase()}>`);
}

/** The texts of the first rows, where bytes that are characters only together are put together. */
function texts_of_rows(count) {
  const texts = [], decoder = new TextDecoder("utf-8", { fatal: true });
  let open = null;
  for (let row = 0; row < count; ++row) {
    const { text, hex, written } = walk.tokens[row];
    if (text !== null || !hex) {
      open = null;
      texts.push({ text: text_of_row(row), written });
      continue;
    }
    if (!open) texts.push(open = { text: "", written, bytes: [] });
    open.bytes.push(...hex.match(/../g).map(pair => parseInt(pair, 16)));
    try {
      open.text = decoder.decode(Uint8Array.from(open.bytes));
      open = null;
    } catch {  // the character goes on in the next token
      open.text += text_of_row(row);
    }
  }
  return texts;
}

/** e^logit / sum over candidates and the rest, at a temperature; of the rest, for one of a bin. */
function softmax(step, temperature) {
  const logits = step.candidates.logits.map(x => Math.fround(number(x) / temperature));
  const rest = step.rest.map(([x, count]) => [Math.fround(number(x) / temperature), count]);
  const best = logits[0];
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - best);
  for (const [x, count] of rest) sum += count * Math.exp(x - best);
  return {
    candidates: logits.map(x => Math.exp(x - best) / sum),
    rest: rest.map(([x, count]) => [Math.exp(x - best) / sum, count]),
  };
}

/** How many of the least likely top-p removes: while what they add up to is at most 1 - p. */
function below_top_p(probabilities, rest, top_p) {
  const limit = Math.fround(1 - top_p);
  let sum = 0, removed = 0;
  for (const [each, count] of [...rest].reverse()) {
    const fit = each > 0 ? Math.min(count, Math.floor((limit - sum) / each)) : count;
    removed += fit;
    sum += fit * each;
    if (fit < count) return removed;
  }
  for (let i = probabilities.length - 1; i > 0; --i) {
    sum += probabilities[i];
    if (Math.fround(sum) > limit) return removed;
    ++removed;
  }
  return removed;
}

/**
 * What sampling leaves of a step's logits, by the rules of Hugging Face transformers: first the
 * temperature, then top-k (what ties with the k-th stays), then top-p (the token that crosses p
 * stays). `probabilities` are those of the candidates, 0 where removed; `reasons` says by what.
 */
function filtered(step, settings) {
  const total = model.vocabulary_size;
  const greedy = settings.temperature === 0;
  const { candidates, rest } = softmax(step, greedy ? 1 : settings.temperature);
  const logits = step.candidates.logits.map(number);
  const reasons = candidates.map(() => null);
  const filters = [];
  let kept = total;
  const keep = (name, count) => {
    if (count >= kept) return;
    reasons.forEach((reason, i) => { if (!reason && i >= count) reasons[i] = name; });
    filters.push({ name, removed: kept - count, kept: count });
    kept = count;
  };
  let left = rest;
  if (greedy) {
    keep("greedy", 1);
    left = [];
  } else {
    if (settings.top_k && settings.top_k <= logits.length) {
      const border = logits[settings.top_k - 1];
      keep("top_k", logits.filter(x => x >= border).length);
      if (kept < total) left = [];
    }
    if (settings.top_p < 1) {
      const among = candidates.filter((_, i) => !reasons[i]);
      let sum = among.reduce((a, b) => a + b, 0);
      for (const [each, count] of left) sum += each * count;
      const gone = below_top_p(among.map(x => x / sum), left.map(([x, n]) => [x / sum, n]),
        settings.top_p);
      keep("top_p", kept - gone);
    }
  }
  let sum = 0, room = kept;
  const share = candidates.map((x, i) => {
    if (reasons[i]) return 0;
    --room;
    sum += x;
    return x;
  });
  for (const [each, count] of left) {
    const here = Math.max(0, Math.min(count, room));
    sum += each * here;
    room -= here;
  }
  return { probabilities: share.map(x => x / sum), reasons, filters, kept, total };
}

/** The run's own settings. */
const run_settings = () => ({
  temperature: number(walk.sampling.temperature), top_k: walk.sampling.top_k,
  top_p: number(walk.sampling.top_p),
});
)page"
