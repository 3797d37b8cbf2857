R"page(
const words = {};
words.en = {
  brand: "How a transformer writes", title: "From a text to its next word",
  lead: "Every number on this page comes from one real pass of a real model. Follow the text " +
    "through its eighteen stages, from the characters to the token that is written next.",
  how_to: "Pick a token in the bar above; every stage shows what became of it. Pick layers and " +
    "heads where they appear. Step forward to watch the text grow.",
  skip: "Skip to the walk", contents: "Stages", notice: "What to notice.",
  step: "Step", previous: "Previous step", next: "Next step", play: "Play", pause: "Pause",
  tokens: "Tokens of the text so far", chosen_next: "the token that is chosen next",
  to_dark: "Dark", to_light: "Light",
  model: "Model", parameters: "Parameters", layers: "Layers", heads: "Heads per layer",
  width: "Width C", vocabulary: "Vocabulary", context: "Context", activation: "Activation",
  no_tokenizer: "This model comes without a tokenizer: its tokens are shown as numbers.",
  magenta: "What is no finite number is marked in magenta; it arose in layer {layer}.",
  notes: [],
  layer: "Layer", head: "Head", dimension: "dimension", unit: "unit",
  ids_given: "The walk began with ids, so there was no text to normalise.",
  as_typed: "As typed", as_normalised: "As the tokenizer reads it",
  unchanged: "Nothing was changed.", changed: "The two differ.",
  show_merges: "Show the merges of “{token}”", hide_merges: "Hide the merges of “{token}”",
  merges: "Merges", no_merges: "“{token}” was not put together: it is one byte, or a whole.",
  cuts_caption: "Below each token: where its bytes begin and end in the text. A dot is a space.",
  id_detail: "is row {row} of {size}; its bytes are {hex}.",
  id_detail_bare: "is row {row} of {size}.",
  strips_of: "{what}: one row for each token",
  learned: "Learned (this model): wpe", sinusoidal: "Sinusoidal (the formula)",
  sum_of: "the vector of “{token}” that enters the first block",
  mean: "mean", variance: "variance", variance_after: "variance after",
  variance_along: "Variance of what each LayerNorm takes in, along the depth",
  before_norm: "Before the first LayerNorm", after_norm: "After: mean 0, variance 1",
  q: "Queries q", k: "Keys k", v: "Values v",
  token: "Token", score: "score", weight: "weight", value: "value",
  masked: "✕ masked (−∞)", earlier: "positions before the window",
  sum_of_values: "weighted sum of the values: what this head found",
  worked_title: "One row worked out: where “{token}” looks",
  all_heads: "All heads of all layers",
  all_heads_caption: "A row is a layer, a column is a head. Click or use the arrow keys; shift " +
    "and click picks B.",
  pick_a: "Pick head A", pick_b: "Pick head B",
  map_of_head: "Attention map of head A", map_of_other: "Attention map of head B",
  head_of: "layer {layer}, head {head}",
  head_facts: "At “{token}”: entropy {entropy} bit, norm of what the head gives {norm}. A row " +
    "looks at columns.",
  entropy: "Entropy of the weights", head_norm: "Norm of the head’s output",
  heads_title: "What each head of layer {layer} gives to “{token}”",
  grid_caption: "All layers (rows) and heads (columns) for the picked token; arrow keys pick a " +
    "head.",
  residual_norm: "after the block", attention_norm: "attention adds", mlp_norm: "feed-forward adds",
  norms_along: "Length of the vector along the depth",
  residual_facts: "Layer {layer}: attention adds a vector of length {attention}, the stream is " +
    "then {middle} long; feed-forward adds {mlp}, and it leaves at {after}.",
  active_map: "Share of active units", active: "active",
  active_caption: "Rows are layers, columns are tokens: how many of the {units} units have a " +
    "positive activation.",
  top_units: "The strongest units of layer {layer} at “{token}”",
  embedding_depth: "Embedding", lens: "Logit lens: layers and positions",
  lens_caption: "In each cell: the likeliest next token, and below it the rank of the token that " +
    "really comes next. Arrow keys move.",
  rank_of_next: "“{token}”, which comes next, is number {rank}.",
  no_next: "What comes after the last token is not known.",
  no_choice: "No token was written in this walk.",
  logits_title: "The highest logits behind “{token}”",
  logits_facts: "{size} logits between {low} and {high}. The vector that entered ln_f had mean " +
    "{mean} and variance {variance}.",
  softmax_facts: "The first {count} hold {sum}; the other {others} tokens share {rest}.",
  temperature: "temperature", greedy: "greedy", off: "all",
  kept: "{count} kept", removed: "{count} removed", survivors: "out of {count}",
  filters: "What each filter left", outline: "Dashed outline: before, at temperature 1.",
  run_settings: "Back to the run’s settings: {description}",
  draw_line: "The draw: survivors side by side, as wide as they are likely",
  run_drew: "In the run the number {draw} was drawn, which lies on",
  run_chose: "In the run the likeliest token that was left was taken:",
  run_filters: "What the run’s filters removed",
  so_far: "Tokens written so far", no_post_processing: "No post-processing was asked for.",
  changes: "Changes: {count}. Afterwards:",
  keys: "Keys: ← → token · n p step · [ ] layer · , . head; inside a map the arrow keys move its " +
    "cell, and Escape hides the numbers.",
  colophon: "One file, no network: made by the gpt2 library’s explain.",
};

words.en.stages = {
  normalisation: { title: "Normalisation",
    what: ["A tokenizer may tidy a text before it cuts it: compose accents, join spaces. GPT-2’s " +
      "own leaves every byte as it is."],
    notice: "Capital letters, accents and spaces all survive, so they all matter to the model." },
  tokens: { title: "Cuts: byte-pair encoding",
    what: ["The text is taken as bytes. Pairs that were frequent in the training texts are " +
      "joined again and again, the most frequent first, until nothing more can be joined."],
    formula: "a, b → ab   for the pair of lowest rank in merges.txt",
    notice: "Common words are one token, rare ones several. A space belongs to the word that " +
      "follows it." },
  ids: { title: "Token ids",
    what: ["Each token stands in the vocabulary under a number. From here on the model knows " +
      "numbers only."],
    formula: "id = vocabulary[token],   0 ≤ id < V",
    notice: "Ids are names, not sizes: two ids next to each other need not have anything in " +
      "common." },
  token_embedding: { title: "Token embedding",
    what: ["The id picks a row of the table wte: C learned numbers that stand for the token."],
    formula: "e_{t} = wte[id_{t}],   wte: (V, C)",
    notice: "Equal tokens have equal rows here, wherever they stand." },
  positions: { title: "Positional embedding",
    what: ["Attention by itself does not see order. So each position has a vector of its own: " +
      "learned in GPT-2, a formula of waves in the first transformer."],
    formula: "PE(pos, 2i) = sin(pos / 10000^{2i/C})\nPE(pos, 2i+1) = cos(pos / 10000^{2i/C})",
    notice: "The waves run fast on the left and slowly on the right. In GPT-2 " +
      "learned rows change smoothly from one position to the next, too." },
  sum: { title: "The sum",
    what: ["Token and position are added number by number. Dropout, used in training, does " +
      "nothing here."],
    formula: "x_{t} = wte[id_{t}] + wpe[t]",
    notice: "From now on the same token at two places has two vectors: order has entered." },
  layer_norm: { title: "LayerNorm",
    what: ["Before each sub-layer a vector is shifted to mean 0 and scaled to variance 1; then a " +
      "learned gain and bias follow."],
    formula: "LN(x) = (x − μ) / √(σ² + ε) · g + b",
    notice: "The variance of what comes in grows with depth, often most at the first " +
      "token; what goes out is always of one size." },
  qkv: { title: "Queries, keys, values",
    what: ["One matrix product, c_attn, makes three vectors of each token for every head: what " +
      "it looks for (q), what it offers (k), what it hands over (v)."],
    formula: "q = xW_{Q},   k = xW_{K},   v = xW_{V}",
    notice: "Each head has few numbers only, C / H of them: its own small view of the text." },
  attention: { title: "Attention",
    what: ["A token’s query is compared with the keys of all tokens up to itself. Later ones are " +
      "masked. Softmax turns scores into weights that add up to 1, and the values are summed " +
      "with these weights.",
    "Take any head of any layer as A, another as B, and compare their maps."],
    formula: "weights = softmax(qKᵀ / √d + mask),   output = weights · V",
    notice: "The maps are triangles: nobody looks ahead. Look for heads that watch the token " +
      "before, the first token, or an earlier copy of the same word." },
  heads_joined: { title: "Heads joined, projected",
    what: ["The results of all heads are laid side by side and mixed by c_proj into one vector " +
      "of width C."],
    formula: "attention(x) = [head_{1} … head_{H}] · W_{O} + b",
    notice: "Heads that have little to say here often put their weight on the first token, and " +
      "give a short vector." },
  residual: { title: "The residual stream",
    what: ["A sub-layer does not replace a vector: what it found is added. The sum that runs " +
      "through all blocks is called the residual stream."],
    formula: "x ← x + attention(LN(x)),   x ← x + mlp(LN(x))",
    notice: "The stream grows longer as more is added. The first token is often many times " +
      "longer than the others." },
  feed_forward: { title: "Feed-forward",
    what: ["Each token by itself goes through two layers: widened, through a switch " +
      "({activation}), and back to width C."],
    formula: "mlp(x) = W_{proj} · f(W_{fc} · x + b) + b′",
    notice: "Most units stay nearly silent. The few strong ones are those that recognise " +
      "something in this token." },
  lens: { title: "Block after block: the logit lens",
    what: ["Blocks repeat the same two steps. Ask each of them what it would answer if it were " +
      "the last one: its stream goes through the final LayerNorm and the vocabulary."],
    formula: "softmax(ln_f(x_{layer}) · wteᵀ)",
    notice: "Near the embedding the guess is hardly more than an echo; deeper down it turns into " +
      "a word that fits, and the rank of the true one falls towards 1." },
  logits: { title: "Final LayerNorm, logits",
    what: ["The last vector is normalised once more and compared with the row of every token: " +
      "one number for each token of the vocabulary."],
    formula: "logits = ln_f(x_{T}) · wteᵀ,   (V)",
    notice: "The table that turned ids into vectors at the start is, in GPT-2, the same that " +
      "turns the last vector into tokens." },
  softmax: { title: "Softmax: probabilities",
    what: ["The exponential makes every logit positive; divided by their sum they are " +
      "probabilities."],
    formula: "p_{i} = e^{zᵢ} / Σ_{j} e^{zⱼ}",
    notice: "Only differences between logits count: one more than another means e ≈ 2.7 times as " +
      "likely." },
  sampling: { title: "Sampling",
    what: ["Temperature sharpens (below 1) or flattens (above 1) the distribution. Top-k keeps " +
      "the k likeliest, top-p the fewest that together reach p. Then a random number decides.",
    "Move the sliders: everything is computed again from the logits."],
    formula: "p_{i} = softmax(z_{i} / temperature)",
    notice: "Temperature 0 means greedy: always the likeliest. Top-p keeps few tokens where the " +
      "model is sure, and many where it is not." },
  loop: { title: "Append, and again",
    what: ["The token is turned back into text and appended. With it the walk begins anew: the " +
      "model writes one token at a time."],
    formula: "text ← text + token",
    notice: "Step on with the buttons above and watch maps, lens and bars change. Earlier rows " +
      "stay as they are, which is why a cache of keys and values works." },
  post_processing: { title: "After the model",
    what: ["Programs often repair what was written: banned words, repetition, spaces, numbers " +
      "and units as a language writes them."],
    notice: "None of this is the model’s doing: each step can say what it changed." },
};
)page"
