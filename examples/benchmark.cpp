// How fast this machine runs a GPT-2, and how fast it could at most: tokens per second of decoding,
// of reading a prompt and of a batch, loading, memory, and the share of the machine's own limits,
// measured in the same minute with the same threads.
#include "benchmark/limits.hpp"
#include "benchmark/measure.hpp"
#include "benchmark/profile.hpp"
#include "benchmark/random_model.hpp"
#include "model_options.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <string>

namespace {

struct arguments {
    cli::model_options model;
    bool given_model = false;
    std::string shape = "gpt2";
    std::string trace_file;
    std::size_t repeat = 5;
    bool list_kernels = false, json = false, profile = false, quick = false;
};

gpt2::config config_of(const std::string& shape) {
    if (shape == "medium") return gpt2::presets::medium();
    if (shape == "large") return gpt2::presets::large();
    return shape == "xl" ? gpt2::presets::xl() : gpt2::presets::gpt2();
}

/// The name that --weights has for it.
std::string weights_name(const arguments& given) {
    switch (given.model.how.weights) {
        case gpt2::storage::as_stored:
            return given.given_model ? "as stored" : "f32";
        case gpt2::storage::f16:
            return "f16";
        case gpt2::storage::bf16:
            return "bf16";
        case gpt2::storage::int8:
            return "int8";
        case gpt2::storage::int4:
            return "int4";
        case gpt2::storage::f32:
            break;
    }
    return "f32";
}

struct report {
    std::string shape, weights, kernels, arithmetic;
    unsigned threads = 0;
    bench::amounts taken;
    bench::speeds speed;
    double load_s = 0;
    std::uint64_t peak_of_one = 0, peak_of_batch = 0, weight_bytes = 0;
    bench::machine_limits limits;
    gpt2::config config;
    std::vector<bench::profile> profiles;

    /// What the products of these weights are bound by: integers where weights are quantised.
    double limit_flops() const {
        if ((weights == "int8" || weights == "int4") && limits.int8_ops > 0) return limits.int8_ops;
        const bool bfloats = weights == "bf16" && arithmetic == "fast" && limits.bf16_flops > 0;
        return bfloats ? limits.bf16_flops : limits.f32_flops;
    }
    double decode_share() const {
        return speed.decode * static_cast<double>(weight_bytes) / limits.read_bytes_per_s;
    }
    double prefill_share() const {
        const double each = bench::block_flops(config) +
                            bench::head_flops(config) / static_cast<double>(taken.prefill);
        return speed.prefill * each / limit_flops();
    }
    /// A step reads the weights once and computes with them for each text; the slower one bounds.
    double batch_share(std::size_t i) const {
        const double steps = speed.batches[i] / static_cast<double>(bench::batch_sizes[i]);
        const double each = bench::block_flops(config) + bench::head_flops(config);
        return std::max(steps * static_cast<double>(weight_bytes) / limits.read_bytes_per_s,
                        speed.batches[i] * each / limit_flops());
    }
    /// How much faster that is than one text after the other.
    double times_one(std::size_t i) const { return speed.batches[i] / speed.batches[0]; }
};

report measure(const arguments& given) {
    auto how = given.model.how;
    how.pool = std::make_shared<gpt2::thread_pool>(how.threads);
    std::optional<gpt2::language_model> loaded;
    report done;
    done.load_s = bench::seconds_of([&] {
        loaded.emplace(given.given_model ? gpt2::load(given.model.folder, how)
                                         : bench::random_model(config_of(given.shape), how));
    });
    const gpt2::model& model = loaded->model();

    const auto quick = bench::amounts{.decode = 16, .prefill = 64, .batch_steps = 4};
    bench::speed_meter speed(*loaded, given.quick ? quick : bench::amounts{});
    bench::limits_meter limits(*how.pool, (given.quick ? 64u : 256u) << 20);
    for (std::size_t i = 0; i < (given.quick ? 1 : given.repeat); ++i) {
        speed.round_of_one();
        if (i == 0) done.peak_of_one = bench::peak_rss_bytes();
        speed.round_of_batches();
        if (i == 0) done.peak_of_batch = bench::peak_rss_bytes();
        limits.probe();  // after the peaks are read: it takes memory of its own
    }
    if (given.profile || !given.trace_file.empty())
        done.profiles =
            bench::profiles(*loaded, speed.taken().prefill, given.quick ? 1 : given.repeat);

    done.shape = given.given_model ? "model" : given.shape;
    done.weights = weights_name(given);
    done.kernels = loaded->state().on.kernels->name;
    done.arithmetic = how.arithmetic == gpt2::arithmetic::fast ? "fast" : "reproducible";
    done.threads = how.pool->size();
    done.taken = speed.taken();
    done.speed = speed.result();
    done.weight_bytes = model.weight_bytes();
    done.limits = limits.result();
    done.config = model.config();
    return done;
}

/// The batch that has keys of its own: peers are compared by it.
constexpr std::size_t compared_batch = 1;
static_assert(bench::batch_sizes[compared_batch] == 8);

nlohmann::json as_json(const report& r) {
    nlohmann::json result = {{"shape", r.shape},
                             {"weights", r.weights},
                             {"kernels", r.kernels},
                             {"arithmetic", r.arithmetic},
                             {"threads", r.threads},
                             {"decode_tokens", r.taken.decode},
                             {"decode_tokens_per_s", r.speed.decode},
                             {"decode_share_of_limit", r.decode_share()},
                             {"prefill_tokens", r.taken.prefill},
                             {"prefill_tokens_per_s", r.speed.prefill},
                             {"prefill_share_of_limit", r.prefill_share()},
                             {"batch", bench::batch_sizes[compared_batch]},
                             {"batch_tokens_per_s", r.speed.batches[compared_batch]},
                             {"batch_share_of_limit", r.batch_share(compared_batch)},
                             {"load_s", r.load_s},
                             {"peak_rss_bytes", r.peak_of_one},
                             {"peak_rss_batch_bytes", r.peak_of_batch},
                             {"weight_bytes_per_token", r.weight_bytes},
                             {"limit_read_bytes_per_s", r.limits.read_bytes_per_s},
                             {"limit_flops", r.limit_flops()},
                             {"limit_f32_flops", r.limits.f32_flops},
                             {"limit_bf16_flops", r.limits.bf16_flops},
                             {"limit_int8_ops", r.limits.int8_ops}};
    for (std::size_t i = 0; i < bench::batch_sizes.size(); ++i)
        result["batches"].push_back({{"texts", bench::batch_sizes[i]},
                                     {"tokens_per_s", r.speed.batches[i]},
                                     {"share_of_limit", r.batch_share(i)},
                                     {"times_one", r.times_one(i)}});
    for (const auto& p : r.profiles) result["profile"].push_back(bench::as_json(p));
    return result;
}

void print_speed(const std::string& what, double tokens_per_s, double share, const char* limit) {
    std::cout << "\n  " << std::left << std::setw(16) << what << std::right << std::setw(10)
              << tokens_per_s << " tokens/s" << std::setw(7) << 100 * share << " % of " << limit;
}

void print(const report& r) {
    const auto megabytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
    std::cout << r.shape << ", " << r.weights << " weights, " << r.kernels << " kernels, "
              << r.arithmetic << " arithmetic, " << r.threads
              << (r.threads == 1 ? " thread" : " threads") << std::fixed << std::setprecision(1);
    print_speed("decode", r.speed.decode, r.decode_share(), "what memory allows");
    print_speed("prefill " + std::to_string(r.taken.prefill), r.speed.prefill, r.prefill_share(),
                "what arithmetic allows");
    for (std::size_t i = 0; i < bench::batch_sizes.size(); ++i) {
        print_speed("batch " + std::to_string(bench::batch_sizes[i]), r.speed.batches[i],
                    r.batch_share(i), "what the tighter of them allows");
        std::cout << std::setw(6) << r.times_one(i) << " times one";
    }
    std::cout << "\n  load            " << std::setw(10) << std::setprecision(2) << r.load_s
              << " s\n"
              << std::setprecision(0) << "  memory          " << std::setw(10)
              << megabytes(r.peak_of_one) << " MB at most, " << megabytes(r.peak_of_batch)
              << " with the batches\n  read per token  " << std::setw(10)
              << megabytes(r.weight_bytes) << " MB of weights\n  this machine    "
              << std::setprecision(1) << std::setw(10) << r.limits.read_bytes_per_s / 1e9
              << " GB/s, " << std::setprecision(0) << r.limits.f32_flops / 1e9 << " GFLOP/s";
    if (r.limits.bf16_flops > 0) std::cout << ", bf16 " << r.limits.bf16_flops / 1e9;
    if (r.limits.int8_ops > 0) std::cout << ", int8 " << r.limits.int8_ops / 1e9 << " Gop/s";
    std::cout << "\n";
}

void write_trace(const std::string& path, const std::vector<bench::profile>& profiles) {
    std::ofstream file(path);
    if (file) file << bench::chrome_trace(profiles).dump() << '\n';
    if (!file.flush())
        gpt2::detail::fail(gpt2::errc::read_failed, gpt2::detail::printable(path),
                           "cannot be written");
}

void benchmark(const arguments& given) {
    if (given.list_kernels) {
        for (const auto name : gpt2::kernel_names()) std::cout << name << '\n';
        return;
    }
    const auto done = measure(given);
    if (!given.trace_file.empty()) write_trace(given.trace_file, done.profiles);
    if (given.json) {
        std::cout << as_json(done).dump() << '\n';
        return;
    }
    print(done);
    if (!done.profiles.empty())
        std::cout << "\nWatching splits what runs fused: attention is computed on one thread,\n"
                     "the activation after its product. Compare the sum with the last line.\n";
    for (const auto& p : done.profiles) bench::print(std::cout, p, done.config, done.weight_bytes);
}

void declare(CLI::App& app, arguments& given) {
    app.option_defaults()->always_capture_default();
    cli::declare(app, given.model);
    auto* model = app.get_option("--model");
    model->description("Folder of the model; default: random weights of --shape")->default_str("");
    app.add_option("--shape", given.shape, "Sizes of a model with random weights")
        ->check(CLI::IsMember({"gpt2", "medium", "large", "xl"}))
        ->excludes(model);
    app.add_option("--repeat", given.repeat, "Measurements, of which the median counts")
        ->check(cli::count())
        ->check(CLI::PositiveNumber);
    app.add_option("--profile", given.trace_file,
                   "Also where the time goes; with a file name also as a Chrome trace")
        ->expected(0, 1)
        ->type_name("[FILE]")
        ->default_str("");
    app.add_flag("--quick", given.quick, "One short measurement: whether it works, not how fast");
    app.add_flag("--json", given.json, "One JSON object instead of tables");
    app.add_flag("--list-kernels", given.list_kernels,
                 "Only list the kernels this machine can run, the fastest first");
    app.parse_complete_callback([&app, &given, model] {
        given.given_model = model->count() > 0;
        given.profile = app.get_option("--profile")->count() > 0;
    });
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("How fast this machine runs a GPT-2.", "benchmark");
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { benchmark(given); });
}
