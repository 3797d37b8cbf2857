// Numbers and units, from one way of writing them into another.
#include "steps.hpp"

using gpt2::digit_groups;
using gpt2::language;
using gpt2::unit_form;
using gpt2::write_measures;

TEST_CASE("the course's sentence", "[post_process]") {
    const auto spanish = write_measures({.to = language::spanish});
    const std::string text = "El sensor mide 5.4cm y pesa 8gr";
    CHECK(test::run(spanish, text) == "El sensor mide 5,4 centímetros y pesa 8 gramos");
    const auto changes = spanish.run(text).changes;
    REQUIRE(changes.size() == 2);
    CHECK(changes[0].from == "5.4cm");
    CHECK(changes[0].to == "5,4 centímetros");
    CHECK(changes[0].begin == 15);
    CHECK(changes[1].from == "8gr");
    const auto back =
        write_measures({.to = language::english, .units = unit_form::symbols, .gap = ""});
    CHECK(test::run(back, "mide 5,4 centímetros y pesa 8 gramos") == "mide 5.4cm y pesa 8g");
}

TEST_CASE("units in names agree with their number", "[post_process]") {
    test::check_all(
        write_measures(),
        {{"1 m", "1 metro"},
         {"1,0 m", "1,0 metros"},
         {"0.5 l", "0,5 litros"},
         {"21 °C y -1°C", "21 grados Celsius y -1 grado Celsius"},
         {"a 120km/h", "a 120 kilómetros por hora"},
         {"60 m2, 3 m³ y 5 km²", "60 metros cuadrados, 3 metros cúbicos y 5 kilómetros cuadrados"},
         {"el 5% de 5 %", "el 5 por ciento de 5 por ciento"},
         {"8 gr. de sal y 5 kg.", "8 gramos de sal y 5 kilogramos."},
         {"5 centimetros", "5 centímetros"},
         {"2.5 inches", "2,5 pulgadas"},
         {"5 KG (10lbs)", "5 kilogramos (10 libras)"},
         {"«3h»", "«3 horas»"},
         {".5cm", "0,5 centímetros"},
         {"5-10cm y 5.5-6.5 cm", "5-10 centímetros y 5,5-6,5 centímetros"}});
    test::check_all(write_measures({.to = language::english, .from = language::english}),
                    {{"5.4cm", "5.4 centimeters"},
                     {"1 metro por segundo", "1 meter per second"},
                     {"90 minutos", "90 minutes"},
                     {"6ft 2in", "6 feet 2 inches"},
                     {"20 segundos", "20 seconds"}});
}

TEST_CASE("units in symbols", "[post_process]") {
    test::check_all(write_measures({.units = unit_form::symbols}),
                    {{"5.4cm y 8gr", "5,4 cm y 8 g"},
                     {"5 metros cuadrados", "5 m²"},
                     {"5 kilómetros por hora", "5 km/h"},
                     {"5 por ciento", "5%"},
                     {"cinco metros, 2 Metros", "cinco metros, 2 m"}});
    CHECK(test::run(write_measures({.units = unit_form::symbols, .gap = "\u00A0"}), "5 cm") ==
          "5\u00A0cm");
}

TEST_CASE("thousands and fractions", "[post_process]") {
    test::check_all(
        write_measures({.to = language::spanish, .from = language::english}),
        {{"1,234.5 kg", "1.234,5 kilogramos"}, {"1,234,567 and 3.14", "1.234.567 and 3,14"}});
    const auto spanish = write_measures();
    test::check_all(spanish, {{"3.14", "3,14"},
                              {"1,234.5", "1.234,5"},
                              {"1,234,567", "1.234.567"},
                              {"12\u00A0345,6 t", "12.345,6 toneladas"}});
    const auto english = write_measures({.to = language::english});
    CHECK(test::run(english, "1.234 kg, 1,5 kg") == "1,234 kilograms, 1.5 kilograms");
    CHECK(test::run(english, "1.234.567,89") == "1,234,567.89");
    CHECK(test::run(write_measures({.groups = digit_groups::marks}), "12345678 m, 1234 m, 2024") ==
          "12.345.678 metros, 1234 metros, 2024");
    CHECK(test::run(write_measures({.groups = digit_groups::none}), "1.234.567 m") ==
          "1234567 metros");
    CHECK(test::run(spanish, std::string(400, '9') + ".5") == std::string(400, '9') + ",5");
}

TEST_CASE("what is no measure stays", "[post_process]") {
    test::check_kept(write_measures(), {"1.2.3",
                                        "192.168.1.10",
                                        "1,2,3",
                                        "10:30 h",
                                        "1/4 kg",
                                        "v2.5",
                                        "H2O",
                                        "2.5x",
                                        "5th",
                                        "a1.5",
                                        "12.10.2020",
                                        "1.23.456",
                                        "en 2024",
                                        "tel. 600123456",
                                        "5 mesas",
                                        "5m-s",
                                        "5 in the box",
                                        "5 a",
                                        "3 A",
                                        "24/7",
                                        "#1.5",
                                        "5.",
                                        "5,",
                                        "mide 5. Pesa",
                                        "",
                                        "cm",
                                        "5 km/día",
                                        "1234,567.8",
                                        "\xFF"
                                        "5\xFE"
                                        "5.x",
                                        "5\ncm"});
    CHECK(test::run(write_measures(), "$1.5 m and 1.5 m") == "$1,5 m and 1,5 metros");
}

TEST_CASE("every unit is read in every spelling and comes back as itself", "[post_process]") {
    for (const language to : {language::english, language::spanish}) {
        const auto names = write_measures({.to = to, .from = to});
        const auto symbols = write_measures({.to = to, .from = to, .units = unit_form::symbols});
        const char mark = to == language::english ? '.' : ',';
        for (const gpt2::detail::unit& one : gpt2::detail::units) {
            const std::string symbol(one.symbol()), number = std::string("2") + mark + "5";
            const std::string named = number + ' ' + std::string(one.name(to).many);
            const bool apart = one.where != gpt2::detail::unit::place::attached;
            CHECK(test::run(names, number + symbol) == named);
            CHECK(test::run(symbols, named) == number + (apart ? " " : "") + symbol);
            CHECK(test::run(names, "1" + symbol) == "1 " + std::string(one.name(to).one));
        }
    }
}
