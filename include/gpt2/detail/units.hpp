// Units of measure by their symbols and by their names in English and Spanish.
//
// Symbols are those of the SI brochure (9th edition) and others in daily use; the first is the one
// that is written, the rest are read too. "K" and its like are read only where they touch their
// number, because a word may look the same.
//
// Before: core.hpp. Next: detail/measures.hpp.
#pragma once

#include "../core.hpp"

#include <string_view>

namespace gpt2::inline GPT2_ABI {

enum class language { english, spanish };

namespace detail {

struct unit_name {
    std::string_view one, many;
};

struct unit {
    std::string_view symbols;  ///< divided by spaces
    unit_name english, spanish;
    std::string_view other_names = {};  ///< read, but not written; divided by spaces
    enum class place : unsigned char {
        apart,          ///< 5 cm; 5cm is read too
        attached,       ///< 5%; 5 % is read too
        only_attached,  ///< read as 5in only, written 5 in
    } where = place::apart;

    std::string_view symbol() const { return symbols.substr(0, symbols.find(' ')); }
    const unit_name& name(language of) const {
        return of == language::english ? english : spanish;
    }
};

// clang-format off
inline constexpr unit units[] = {
    {"km Km KM kms Kms", {"kilometer", "kilometers"}, {"kilómetro", "kilómetros"},
     "kilometre kilometres kilometro kilometros"},
    {"hm", {"hectometer", "hectometers"}, {"hectómetro", "hectómetros"},
     "hectometre hectometres hectometro hectometros"},
    {"dam", {"decameter", "decameters"}, {"decámetro", "decámetros"},
     "decametre decametres decametro decametros"},
    {"m mt mts", {"meter", "meters"}, {"metro", "metros"}, "metre metres"},
    {"dm", {"decimeter", "decimeters"}, {"decímetro", "decímetros"},
     "decimetre decimetres decimetro decimetros"},
    {"cm Cm CM cms", {"centimeter", "centimeters"}, {"centímetro", "centímetros"},
     "centimetre centimetres centimetro centimetros"},
    {"mm Mm mms", {"millimeter", "millimeters"}, {"milímetro", "milímetros"},
     "millimetre millimetres milimetro milimetros"},
    {"µm μm", {"micrometer", "micrometers"}, {"micrómetro", "micrómetros"},
     "micrometre micrometres micrometro micrometros"},
    {"nm", {"nanometer", "nanometers"}, {"nanómetro", "nanómetros"},
     "nanometre nanometres nanometro nanometros"},
    {"m² m2", {"square meter", "square meters"}, {"metro cuadrado", "metros cuadrados"}},
    {"cm² cm2", {"square centimeter", "square centimeters"},
     {"centímetro cuadrado", "centímetros cuadrados"}},
    {"km² km2", {"square kilometer", "square kilometers"},
     {"kilómetro cuadrado", "kilómetros cuadrados"}},
    {"m³ m3", {"cubic meter", "cubic meters"}, {"metro cúbico", "metros cúbicos"}},
    {"cm³ cm3 cc", {"cubic centimeter", "cubic centimeters"},
     {"centímetro cúbico", "centímetros cúbicos"}},
    {"ha", {"hectare", "hectares"}, {"hectárea", "hectáreas"}, "hectarea hectareas"},
    {"kg Kg KG kgs Kgs", {"kilogram", "kilograms"}, {"kilogramo", "kilogramos"}, "kilo kilos"},
    {"g gr grs Gr", {"gram", "grams"}, {"gramo", "gramos"}, "gramme grammes"},
    {"mg Mg", {"milligram", "milligrams"}, {"miligramo", "miligramos"}},
    {"µg μg mcg", {"microgram", "micrograms"}, {"microgramo", "microgramos"}},
    {"t tn", {"tonne", "tonnes"}, {"tonelada", "toneladas"}},
    {"l L lt lts", {"liter", "liters"}, {"litro", "litros"}, "litre litres"},
    {"dl dL", {"deciliter", "deciliters"}, {"decilitro", "decilitros"}, "decilitre decilitres"},
    {"cl cL", {"centiliter", "centiliters"}, {"centilitro", "centilitros"},
     "centilitre centilitres"},
    {"ml mL Ml ML", {"milliliter", "milliliters"}, {"mililitro", "mililitros"},
     "millilitre millilitres"},
    {"s seg", {"second", "seconds"}, {"segundo", "segundos"}},
    {"ms", {"millisecond", "milliseconds"}, {"milisegundo", "milisegundos"}},
    {"min mins", {"minute", "minutes"}, {"minuto", "minutos"}},
    {"h hr hrs", {"hour", "hours"}, {"hora", "horas"}},
    {"km/h Km/h kmh kph", {"kilometer per hour", "kilometers per hour"},
     {"kilómetro por hora", "kilómetros por hora"}},
    {"m/s", {"meter per second", "meters per second"},
     {"metro por segundo", "metros por segundo"}},
    {"m/s² m/s2", {"meter per second squared", "meters per second squared"},
     {"metro por segundo cuadrado", "metros por segundo cuadrado"}},
    {"mph", {"mile per hour", "miles per hour"}, {"milla por hora", "millas por hora"}},
    {"°C ºC", {"degree Celsius", "degrees Celsius"}, {"grado Celsius", "grados Celsius"}},
    {"°F ºF", {"degree Fahrenheit", "degrees Fahrenheit"},
     {"grado Fahrenheit", "grados Fahrenheit"}},
    {"°", {"degree", "degrees"}, {"grado", "grados"}, {}, unit::place::attached},
    {"K", {"kelvin", "kelvins"}, {"kelvin", "kelvins"}, {}, unit::place::only_attached},
    {"Hz", {"hertz", "hertz"}, {"hercio", "hercios"}},
    {"kHz KHz", {"kilohertz", "kilohertz"}, {"kilohercio", "kilohercios"}},
    {"MHz Mhz", {"megahertz", "megahertz"}, {"megahercio", "megahercios"}},
    {"GHz Ghz", {"gigahertz", "gigahertz"}, {"gigahercio", "gigahercios"}},
    {"W", {"watt", "watts"}, {"vatio", "vatios"}},
    {"kW KW Kw", {"kilowatt", "kilowatts"}, {"kilovatio", "kilovatios"}},
    {"MW", {"megawatt", "megawatts"}, {"megavatio", "megavatios"}},
    {"kWh KWh", {"kilowatt-hour", "kilowatt-hours"}, {"kilovatio hora", "kilovatios hora"}},
    {"V", {"volt", "volts"}, {"voltio", "voltios"}},
    {"mV", {"millivolt", "millivolts"}, {"milivoltio", "milivoltios"}},
    {"kV", {"kilovolt", "kilovolts"}, {"kilovoltio", "kilovoltios"}},
    {"A", {"ampere", "amperes"}, {"amperio", "amperios"}, "amp amps", unit::place::only_attached},
    {"mA", {"milliampere", "milliamperes"}, {"miliamperio", "miliamperios"}},
    {"mAh", {"milliampere-hour", "milliampere-hours"}, {"miliamperio hora", "miliamperios hora"}},
    {"Ω", {"ohm", "ohms"}, {"ohmio", "ohmios"}},
    {"N", {"newton", "newtons"}, {"newton", "newtons"}, {}, unit::place::only_attached},
    {"J", {"joule", "joules"}, {"julio", "julios"}, {}, unit::place::only_attached},
    {"kJ KJ", {"kilojoule", "kilojoules"}, {"kilojulio", "kilojulios"}},
    {"kcal Kcal", {"kilocalorie", "kilocalories"}, {"kilocaloría", "kilocalorías"},
     "kilocaloria kilocalorias"},
    {"cal", {"calorie", "calories"}, {"caloría", "calorías"}, "caloria calorias"},
    {"Pa", {"pascal", "pascals"}, {"pascal", "pascales"}},
    {"hPa", {"hectopascal", "hectopascals"}, {"hectopascal", "hectopascales"}},
    {"kPa", {"kilopascal", "kilopascals"}, {"kilopascal", "kilopascales"}},
    {"bar", {"bar", "bars"}, {"bar", "bares"}},
    {"dB", {"decibel", "decibels"}, {"decibelio", "decibelios"}},
    {"B", {"byte", "bytes"}, {"byte", "bytes"}, {}, unit::place::only_attached},
    {"kB KB", {"kilobyte", "kilobytes"}, {"kilobyte", "kilobytes"}},
    {"MB", {"megabyte", "megabytes"}, {"megabyte", "megabytes"}},
    {"GB", {"gigabyte", "gigabytes"}, {"gigabyte", "gigabytes"}},
    {"TB", {"terabyte", "terabytes"}, {"terabyte", "terabytes"}},
    {"mi", {"mile", "miles"}, {"milla", "millas"}, {}, unit::place::only_attached},
    {"yd yds", {"yard", "yards"}, {"yarda", "yardas"}},
    {"ft", {"foot", "feet"}, {"pie", "pies"}},
    {"in", {"inch", "inches"}, {"pulgada", "pulgadas"}, {}, unit::place::only_attached},
    {"lb lbs", {"pound", "pounds"}, {"libra", "libras"}},
    {"oz", {"ounce", "ounces"}, {"onza", "onzas"}},
    {"€ EUR", {"euro", "euros"}, {"euro", "euros"}},
    {"%", {"percent", "percent"}, {"por ciento", "por ciento"}, {}, unit::place::attached},
};
// clang-format on

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
