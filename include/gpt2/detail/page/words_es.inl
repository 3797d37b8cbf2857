R"page(
words.es = {
  brand: "Cómo escribe un transformer", title: "De un texto a su próxima palabra",
  lead: "Todos los números de esta página salen de una pasada real de un modelo real. Siga el " +
    "texto por sus dieciocho etapas, desde los caracteres hasta el siguiente token.",
  how_to: "Elija un token en la barra superior: cada etapa muestra qué fue de él. Elija también " +
    "capas y cabezas donde aparezcan, y avance paso a paso para ver crecer el texto.",
  skip: "Ir al recorrido", contents: "Etapas", notice: "En qué fijarse.",
  step: "Paso", previous: "Paso anterior", next: "Paso siguiente", play: "Reproducir",
  pause: "Pausa", tokens: "Tokens del texto hasta ahora",
  chosen_next: "el token que se elige a continuación",
  to_dark: "Oscuro", to_light: "Claro",
  model: "Modelo", parameters: "Parámetros", layers: "Capas", heads: "Cabezas por capa",
  width: "Anchura C", vocabulary: "Vocabulario", context: "Contexto", activation: "Activación",
  no_tokenizer: "Este modelo viene sin tokenizador: sus tokens se muestran como números.",
  magenta: "Lo que no es un número finito aparece en magenta; surgió en la capa {layer}.",
  notes: [
    [/^Only the last (\d+) of (\d+) positions are shown\.$/,
      "Solo se muestran las últimas $1 de $2 posiciones."],
    [/^The model ended the text\.$/, "El modelo dio el texto por terminado."],
    [/^Nothing more was written: the model has no more positions\.$/,
      "No se escribió más: al modelo no le quedan posiciones."],
    [/^Nothing more was written: the model's logits are no finite numbers\.$/,
      "No se escribió más: los logits del modelo no son números finitos."],
    [/^The first number that is not finite arises in (\w+) at position (\d+)\.$/,
      "El primer número no finito surge en $1, en la posición $2."],
  ],
  layer: "Capa", head: "Cabeza", dimension: "dimensión", unit: "unidad",
  ids_given: "El recorrido empezó con identificadores: no había texto que normalizar.",
  as_typed: "Tal como se escribió", as_normalised: "Tal como lo lee el tokenizador",
  unchanged: "No ha cambiado nada.", changed: "Los dos textos difieren.",
  show_merges: "Ver las fusiones de «{token}»", hide_merges: "Ocultar las fusiones de «{token}»",
  merges: "Fusiones", no_merges: "«{token}» no se compone de partes: es un solo byte o un todo.",
  cuts_caption: "Debajo de cada token: dónde empiezan y acaban sus bytes en el texto. Un punto " +
    "medio es un espacio.",
  id_detail: "es la fila {row} de {size}; sus bytes son {hex}.",
  id_detail_bare: "es la fila {row} de {size}.",
  strips_of: "{what}: una fila por token",
  learned: "Aprendida (este modelo): wpe", sinusoidal: "Sinusoidal (la fórmula)",
  sum_of: "el vector de «{token}» que entra en el primer bloque",
  mean: "media", variance: "varianza", variance_after: "varianza después",
  variance_along: "Varianza de lo que recibe cada LayerNorm, a lo largo de la profundidad",
  before_norm: "Antes de la primera LayerNorm", after_norm: "Después: media 0, varianza 1",
  q: "Consultas q", k: "Claves k", v: "Valores v",
  token: "Token", score: "puntuación", weight: "peso", value: "valor",
  masked: "✕ enmascarado (−∞)", earlier: "posiciones anteriores a la ventana",
  sum_of_values: "suma ponderada de los valores: lo que encontró esta cabeza",
  worked_title: "Una fila paso a paso: adónde mira «{token}»",
  all_heads: "Todas las cabezas de todas las capas",
  all_heads_caption: "Cada fila es una capa y cada columna una cabeza. Haga clic o use las " +
    "flechas; con mayúsculas y clic se elige B.",
  pick_a: "Elegir cabeza A", pick_b: "Elegir cabeza B",
  map_of_head: "Mapa de atención de la cabeza A", map_of_other: "Mapa de atención de la cabeza B",
  head_of: "capa {layer}, cabeza {head}",
  head_facts: "En «{token}»: entropía de {entropy} bits, norma de lo que da la cabeza {norm}. " +
    "Cada fila mira a las columnas.",
  entropy: "Entropía de los pesos", head_norm: "Norma de la salida de la cabeza",
  heads_title: "Qué aporta cada cabeza de la capa {layer} a «{token}»",
  grid_caption: "Todas las capas (filas) y cabezas (columnas) para el token elegido; las flechas " +
    "eligen cabeza.",
  residual_norm: "tras el bloque", attention_norm: "suma la atención",
  mlp_norm: "suma la red densa",
  norms_along: "Longitud del vector a lo largo de la profundidad",
  residual_facts: "Capa {layer}: la atención suma un vector de longitud {attention} y el flujo " +
    "pasa a medir {middle}; la red densa suma {mlp} y el flujo sale con {after}.",
  active_map: "Proporción de unidades activas", active: "activas",
  active_caption: "Las filas son capas y las columnas, tokens: cuántas de las {units} unidades " +
    "tienen activación positiva.",
  top_units: "Las unidades más fuertes de la capa {layer} en «{token}»",
  embedding_depth: "Embedding", lens: "Lente de logits: capas y posiciones",
  lens_caption: "En cada celda, el token siguiente más probable y, debajo, el puesto del que de " +
    "verdad viene después. Las flechas se mueven por la tabla.",
  rank_of_next: "«{token}», que es el que sigue, ocupa el puesto {rank}.",
  no_next: "No se sabe qué viene después del último token.",
  no_choice: "En este recorrido no se escribió ningún token.",
  logits_title: "Los logits más altos tras «{token}»",
  logits_facts: "{size} logits, entre {low} y {high}. El vector que entró en ln_f tenía media " +
    "{mean} y varianza {variance}.",
  softmax_facts: "Los {count} primeros suman {sum}; los otros {others} tokens se reparten {rest}.",
  temperature: "temperatura", greedy: "voraz", off: "todos",
  kept: "quedan {count}", removed: "se quitan {count}", survivors: "de entre {count}",
  filters: "Qué dejó cada filtro", outline: "Contorno discontinuo: antes, con temperatura 1.",
  run_settings: "Volver a los ajustes usados: {description}",
  draw_line: "El sorteo: los que quedan, uno junto a otro, cada uno tan ancho como probable",
  run_drew: "En esta ejecución salió el número {draw}, que cae en",
  run_chose: "En esta ejecución se tomó el más probable de los que quedaban:",
  run_filters: "Qué quitaron los filtros en esta ejecución",
  so_far: "Tokens escritos hasta ahora",
  no_post_processing: "No se pidió ningún posprocesado.",
  changes: "Cambios: {count}. El resultado:",
  keys: "Teclas: ← → token · n p paso · [ ] capa · , . cabeza; dentro de un mapa las flechas " +
    "mueven la celda y Escape oculta los números.",
  colophon: "Un solo archivo, sin red: creado por explain, de la biblioteca gpt2.",
};

words.es.stages = {
  normalisation: { title: "Normalización",
    what: ["Un tokenizador puede arreglar el texto antes de cortarlo: componer tildes, juntar " +
      "espacios. El de GPT-2 deja cada byte como está."],
    notice: "Mayúsculas, tildes y espacios llegan intactos, de modo que todos cuentan." },
  tokens: { title: "Cortes: byte-pair encoding",
    what: ["El texto se toma como bytes. Los pares que eran frecuentes en los textos de " +
      "entrenamiento se fusionan una y otra vez, primero los más frecuentes, hasta que no queda " +
      "ninguno por fusionar."],
    formula: "a, b → ab   para el par de menor rango en merges.txt",
    notice: "Las palabras comunes son un solo token; las raras, varios. El espacio pertenece a " +
      "la palabra que lo sigue." },
  ids: { title: "Identificadores",
    what: ["Cada token figura en el vocabulario con un número. Desde aquí el modelo solo conoce " +
      "números."],
    formula: "id = vocabulario[token],   0 ≤ id < V",
    notice: "Un identificador es un nombre, no una cantidad: dos números vecinos no tienen por " +
      "qué parecerse en nada." },
  token_embedding: { title: "Embedding del token",
    what: ["El identificador elige una fila de la tabla wte: C números aprendidos que " +
      "representan al token."],
    formula: "e_{t} = wte[id_{t}],   wte: (V, C)",
    notice: "Tokens iguales tienen aquí filas iguales, estén donde estén." },
  positions: { title: "Embedding de posición",
    what: ["La atención por sí sola no distingue el orden. Por eso cada posición tiene su propio " +
      "vector: aprendido en GPT-2, una fórmula de ondas en el primer transformer."],
    formula: "PE(pos, 2i) = sin(pos / 10000^{2i/C})\nPE(pos, 2i+1) = cos(pos / 10000^{2i/C})",
    notice: "Las ondas son rápidas a la izquierda y lentas a la derecha. En GPT-2 " +
      "también las filas aprendidas cambian suavemente de una posición a la siguiente." },
  sum: { title: "La suma",
    what: ["Token y posición se suman número a número. El dropout, que se usa al entrenar, aquí " +
      "no hace nada."],
    formula: "x_{t} = wte[id_{t}] + wpe[t]",
    notice: "Desde ahora el mismo token en dos lugares tiene dos vectores: ha entrado el orden." },
  layer_norm: { title: "LayerNorm",
    what: ["Antes de cada subcapa, el vector se desplaza hasta tener media 0 y se escala hasta " +
      "varianza 1; después se aplican una ganancia y un sesgo aprendidos."],
    formula: "LN(x) = (x − μ) / √(σ² + ε) · g + b",
    notice: "La varianza de lo que entra crece con la profundidad, a menudo sobre todo en el " +
      "primer token; lo que sale tiene siempre el mismo tamaño." },
  qkv: { title: "Consultas, claves y valores",
    what: ["Un solo producto de matrices, c_attn, da a cada token tres vectores por cabeza: lo " +
      "que busca (q), lo que ofrece (k) y lo que entrega (v)."],
    formula: "q = xW_{Q},   k = xW_{K},   v = xW_{V}",
    notice: "Cada cabeza dispone de pocos números, C / H: su propia y pequeña vista del texto." },
  attention: { title: "Atención",
    what: ["La consulta de un token se compara con las claves de todos los tokens hasta él " +
      "mismo; los posteriores se enmascaran. Softmax convierte las puntuaciones en pesos que " +
      "suman 1, y con ellos se suman los valores.",
    "Tome como A cualquier cabeza de cualquier capa, otra como B, y compare sus mapas."],
    formula: "pesos = softmax(qKᵀ / √d + máscara),   salida = pesos · V",
    notice: "Los mapas son triángulos: nadie mira hacia delante. Busque cabezas que miren al " +
      "token anterior, al primero o a una aparición previa de la misma palabra." },
  heads_joined: { title: "Cabezas unidas y proyectadas",
    what: ["Los resultados de todas las cabezas se ponen uno junto a otro y c_proj los mezcla en " +
      "un solo vector de anchura C."],
    formula: "atención(x) = [cabeza_{1} … cabeza_{H}] · W_{O} + b",
    notice: "Las cabezas que aquí tienen poco que decir suelen poner su peso en el primer token " +
      "y dan un vector corto." },
  residual: { title: "El flujo residual",
    what: ["Una subcapa no sustituye el vector: lo que encuentra se suma. La suma que atraviesa " +
      "todos los bloques se llama flujo residual."],
    formula: "x ← x + atención(LN(x)),   x ← x + mlp(LN(x))",
    notice: "El flujo se alarga a medida que se le suma. El vector del primer token suele ser " +
      "muchas veces más largo que los demás." },
  feed_forward: { title: "Red densa (feed-forward)",
    what: ["Cada token, por su cuenta, pasa por dos capas: se ensancha, cruza un interruptor " +
      "({activation}) y vuelve a la anchura C."],
    formula: "mlp(x) = W_{proj} · f(W_{fc} · x + b) + b′",
    notice: "La mayoría de las unidades apenas responde. Las pocas fuertes son las que reconocen " +
      "algo en este token." },
  lens: { title: "Bloque tras bloque: la lente de logits",
    what: ["Los bloques repiten los mismos dos pasos. Preguntemos a cada uno qué respondería si " +
      "fuera el último: su flujo pasa por la LayerNorm final y por el vocabulario."],
    formula: "softmax(ln_f(x_{capa}) · wteᵀ)",
    notice: "Cerca del embedding la respuesta es poco más que un eco; más abajo se vuelve una " +
      "palabra que encaja, y el puesto de la verdadera se acerca a 1." },
  logits: { title: "LayerNorm final y logits",
    what: ["El último vector se normaliza una vez más y se compara con la fila de cada token: un " +
      "número por cada token del vocabulario."],
    formula: "logits = ln_f(x_{T}) · wteᵀ,   (V)",
    notice: "En GPT-2, la tabla que al principio convirtió números en vectores es la misma que " +
      "convierte el último vector en tokens." },
  softmax: { title: "Softmax: probabilidades",
    what: ["La exponencial hace positivo cada logit; divididos por su suma, son probabilidades."],
    formula: "p_{i} = e^{zᵢ} / Σ_{j} e^{zⱼ}",
    notice: "Solo cuentan las diferencias entre logits: uno más que otro significa e ≈ 2,7 veces " +
      "más probable." },
  sampling: { title: "Muestreo",
    what: ["La temperatura afila (menos de 1) o aplana (más de 1) la distribución. Top-k " +
      "conserva los k más probables; top-p, los menos posibles que juntos alcanzan p. Después " +
      "decide un número al azar.",
    "Mueva los controles: todo se vuelve a calcular a partir de los logits."],
    formula: "p_{i} = softmax(z_{i} / temperatura)",
    notice: "Temperatura 0 es la elección voraz: siempre el más probable. Top-p conserva pocos " +
      "tokens donde el modelo está seguro y muchos donde no." },
  loop: { title: "Añadir y volver a empezar",
    what: ["El token se convierte de nuevo en texto y se añade al final. Con él empieza otra vez " +
      "el recorrido: el modelo escribe de token en token."],
    formula: "texto ← texto + token",
    notice: "Avance con los botones de arriba y vea cambiar mapas, lente y barras. Las filas " +
      "anteriores no cambian: por eso sirve guardar claves y valores en una caché." },
  post_processing: { title: "Después del modelo",
    what: ["Los programas suelen retocar lo escrito: términos vetados, repeticiones, espacios, " +
      "números y unidades según la lengua."],
    notice: "Nada de esto es obra del modelo: cada paso puede decir qué cambió." },
};
)page"
