// What the filters of the sampler left.
#pragma once

#include <gpt2/sampler.hpp>

#include <cmath>
#include <vector>

namespace test {

/// The ids that can still be drawn after `how`, in order: top-p takes the weight of what it
/// removes.
inline std::vector<gpt2::token_id> left(const gpt2::detail::shortlist& list,
                                        const gpt2::sampling& how) {
    std::vector<gpt2::token_id> ids;
    for (std::size_t i = 0; i < list.scores.size(); ++i)
        if (std::isfinite(list.scores[i]) && (how.top_p == 1 || list.weights[i] != 0))
            ids.push_back(list.id(i));
    return ids;
}

}  // namespace test
