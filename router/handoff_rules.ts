/**
 * What a person has to look out for, and what shows that the work was done: tables over the words of a part. Every line
 * is an instruction; none says what is the case, for the router has seen nothing but words. Over 200 lines of tables.
 * @module
 */

import { headOf } from "./imperative.ts";

/** One danger: words that point to it and what to do about it. */
export interface SafetyRule {
  /** What it is about. */
  readonly topic: string;
  /** Words that point to it. */
  readonly pattern: RegExp;
  /** What to do, in one sentence. */
  readonly note: string;
}

/** Notes for one item, at most: a list that nobody reads protects nobody. */
const MAX_NOTES = 4;

const machine =
  "(?:server|machine|node|computer|workstation|host|desktop|laptop|router|switch|rack|chassis|blade|cluster|kiosk|nas|pc|appliance|projector|printer|box|rig)s?";

/** Worst first; an item gets the first few that fit. */
export const safetyRules: readonly SafetyRule[] = [
  {
    topic: "mains",
    pattern:
      /\b(?:mains|power (?:cable|cord|supply|supplies|strip|lead|brick|connector|rail)|psus?|pdus?|ups|fuses?|fuse ?box|(?:circuit )?breakers?|wiring|re-?wir\w+|voltage|wall (?:socket|outlet)|power outlet|sockets? outlets?|extension (?:lead|cord)|capacitors?|transformer|bus ?bar|electric(?:al|ity)?|inverter|light switch|lamp holder|220 ?v|230 ?v|110 ?v)\b|\b(?:re-?seat|replace|swap|exchange|change)\b.*\bpower\b/i,
    note:
      "Mains: switch off, unplug and check that it is dead before opening or reseating anything that carries power.",
  },
  {
    topic: "static",
    pattern:
      /\b(?:gpus?|cpus?|ram|dimms?|sodimms?|memory (?:module|stick)s?|sticks? in|(?:m\.2|nvme|ssd|mezzanine|infiniband|network|graphics|sound|raid|pcie?|riser|expansion|interface|hba|capture) ?(?:module|card|drive|board)?s?|(?:mother|main|circuit|display|sensor|daughter|mezzanine|logic|controller|control|expander) ?boards?|nics?|heat ?sinks?|backplanes?|chips?|pcbs?|fpgas?|bios battery|cmos battery|solder\w*|hard (?:disk|drive)s?|disk drives?)\b/i,
    note: "Static: wear an earthed wrist strap, and hold cards and modules by their edges.",
  },
  {
    topic: "gas and pressure",
    pattern:
      /\b(?:gas (?:cylinder|bottle|line|leak)s?|cylinders?|compressed (?:air|gas)|compressor|argon|hydrogen|propane|butane|acetylene|co2 (?:bottle|cylinder)|pressure (?:vessel|valve|regulator|cooker)|regulators?|tyres?|tires?|pump up|inflat\w+|manifold|hydraulic\w*|autoclave|boiler)\b/i,
    note: "Pressure: close the valve and let the pressure off first; secure cylinders against falling.",
  },
  {
    topic: "cryogenics",
    pattern:
      /\b(?:liquid (?:nitrogen|helium|oxygen)|ln2|nitrogen|helium|cryo\w*|dewars?|dry ice|quench)\b|[-−–]\s?(?:80|150|196)\s?(?:°|degrees|c\b)/i,
    note: "Cryogenics: insulated gloves and face shield, good air, an oxygen alarm; not alone.",
  },
  {
    topic: "radiation",
    pattern:
      /\b(?:radioactiv\w*|isotopes?|radiation|x-?rays?|gamma source|dosimeter|uranium|caesium|cobalt-60|geiger)\b/i,
    note: "Radiation: only trained people with a dosimeter, under the rules of the radiation officer.",
  },
  {
    topic: "laser",
    pattern:
      /\b(?:lasers?|optical (?:attenuator|fib(?:er|re)|table|bench|cable|module)s?|fib(?:er|re)(?:s|[- ]optics?)?\b(?! content)|patch cords?|transceivers?|q?sfp\+?s?|uv (?:lamp|light)|beam ?line|beam path)\b/i,
    note:
      "Laser: switch the source off before touching it, never look into a beam or fibre, wear goggles for its wavelength.",
  },
  {
    topic: "chemicals",
    pattern:
      /\b(?:acids?|solvents?|reagents?|bleach|ammonia|ethanol|methanol|isopropanol|alcohol|acetone|chloroform|formal(?:in|dehyde)|peroxide|hydroxide|fume hood|chemicals?|toxic|pesticides?|herbicides?|insecticide|varnish|epoxy|glu(?:e|ing)|resin|coolant|mercury|lye|toner|paint|spray|descal\w+|detergent|disinfectant|litmus|titrat\w+|pipett\w+|etch\w*|developer fluid|battery acid|silica|chlorine|sulph\w+|sulf\w+|nitric|buffer solution)\b/i,
    note: "Chemicals: read the safety data sheet, wear gloves and goggles, keep the air moving.",
  },
  {
    topic: "biohazard",
    pattern:
      /\b(?:blood|biops(?:y|ies)|urine|saliva|swabs?|bacteria\w*|virus(?:es)?|pathogens?|petri|inoculat\w*|tissue samples?|carcass\w*|needles?|syringes?|serum|inject\w*|biohazard\w*|agar|cell cultures?|culture (?:dish|flask|plate)\w*|faec\w+|fec(?:es|al)|manure|mould|sewage|vaccin\w+|stool samples?|specimens?|dissect\w+|autopsy|necropsy|wound)\b/i,
    note: "Biohazard: gloves, no recapping of needles, waste into the marked bin, clean hands and surfaces afterwards.",
  },
  {
    topic: "heights",
    pattern:
      /\b(?:ladders?|roofs?|rooftop|climb\w*|ceilings?|scaffold\w*|masts?|towers?|attic|loft|gutters?|rafters|treetops?|silo|antennas?|chimney|crow'?s nest|abseil\w*|rappel\w*|cherry picker|top shelf|flagpole|telegraph pole|crane|balcony|skylight|solar panels?)\b/i,
    note: "Heights: a secured ladder or platform and a second person; not in wind, ice or thunder.",
  },
  {
    topic: "confined space",
    pattern:
      /\b(?:manholes?|sewers?|silo|septic|crawl ?space|shaft|mine|cave|well shaft|storage tank|inside the tank|culvert|inside the duct)\b/i,
    note: "Confined space: have the air measured, and never go in without someone outside.",
  },
  {
    topic: "fire and heat",
    pattern:
      /\b(?:burners?|bunsen|flames?|candles?|wicks?|ovens?|furnaces?|kilns?|torch(?:es)?|weld\w*|braz(?:e|ing)|solder\w*|stoves?|boil\w*|cook\w*|grill(?:s|ing)?|hot ?plates?|ignit\w*|light (?:the|a) (?:fire|stove|burner|candle|lamp|furnace)\w*|bonfire|campfire|matches|bak(?:e|ing)|diesel|petrol|gasoline|fuel|kerosene|fireworks?|roast\w*|fry|frying|steam|iron (?:the|my)|defrost)\b/i,
    note: "Fire and heat: clear what burns, have an extinguisher at hand, stay until everything is cold.",
  },
  {
    topic: "machinery",
    pattern:
      /\b(?:saws?|bandsaw|chainsaw|drills?|drilling|lathes?|milling|grinders?|guillotine|mow\w*|conveyor\w*|robot (?:arm|cell)|robots?|cnc|blenders?|centrifuges?|impellers?|fans?|blowers?|crank\w*|rotors?|kni(?:fe|ves)|scalpels?|axes?|axe|microtomes?|shears|scythe|shredder|press brake|hydraulic press|winch|hoists?|elevator|escalator|shovel\w*|sandpaper|sand(?:ing)?\b|cut(?:ting)?|trim\w*|prun(?:e|ing)|chop\w*|carv\w+|hammer\w*)\b/i,
    note:
      "Machinery and blades: stop it and secure it against restart before hands go in; guards on, eyes protected, no loose sleeves.",
  },
  {
    topic: "heavy load",
    pattern:
      /\b(?:lift\w*|heav(?:e|ing|y)|carry\w*|haul\w*|hoist\w*|move|moving|push|drag\w*|unload\w*|load|loading|mount|install|unbox|unpack|stack|rack up|shift)\b.{0,160}\b(?:servers?|racks?|cabinets?|crates?|pallets?|box(?:es)?|barrels?|fridges?|freezers?|desks?|tables?|pianos?|beams?|safe|ups|batter(?:y|ies)|monitors?|furniture|sofas?|gravel|sacks?|stones?|concrete|bricks?|cylinders?|machines?|printers?|projectors?|magnets?|telescopes?|generators?|bench(?:es)?|drums?|trunks?|logs?|tiles?|chassis|arrays?|jars?)\b|\b(?:pallet|forklift|crane|heavy)\b/i,
    note: "Heavy load: two people or a lifting aid, safety shoes, and a clear way.",
  },
  {
    topic: "water",
    pattern:
      /\b(?:boats?|canoes?|kayaks?|ferry|dinghy|raft|div(?:e|ing)|swim\w*|rivers?|lakes?|sea|seabed|harbou?r|buoys?|paddl\w*|wad(?:e|ing)|sluices?|weir|reservoir|ford|tide|tidal|creek|pond|dock|jetty|hydrophone|barge|sail\w*)\b/i,
    note: "Water: life jacket, a second person, and a look at weather and current first.",
  },
  {
    topic: "vehicles",
    pattern:
      /\b(?:drive (?:to|the|a|him|her|them|us|over|out|up|down|home|back|there|it)|trucks?|vans?|cars?|forklifts?|tractors?|taxis?|trailers?|motor ?bikes?|motorcycle|bicycles?|bikes?|lorr(?:y|ies)|minibus|bus|scooters?|road|motorway|highway|airport|level crossing|rails?|tram|tow(?:ing)?\b|hitch|park the|parking|jump-?start|tyres?|tires?)\b/i,
    note:
      "Vehicles and traffic: licence and insurance valid, load secured, high-visibility vest beside the road, no phone at the wheel.",
  },
  {
    topic: "weather",
    pattern:
      /\b(?:snow\w*|ic(?:e|y)|salt the|storm|thunder|lightning|glacier|avalanche|mountain|ridge|cliff|desert|forest|swamp|marsh|bog|patrol\w*|hike|trek|field ?work|field station|summit)\b/i,
    note: "Outdoors: look at the weather, wear shoes that hold, and tell somebody where you go and when you are back.",
  },
  {
    topic: "animals",
    pattern:
      /\b(?:dogs?|cats?|horses?|cows?|cattle|cal(?:f|ves)|llamas?|alpacas?|mice|mouse (?:cage|colony)|rats?|bees?|hives?|beehives?|snakes?|sheep|lambs?|goats?|pigs?|chickens?|hens?|owls?|birds?|falcons?|fish(?:es)?|axolotls?|bats?|livestock|turtles?|tortoises?|frogs?|insects?|butterfl(?:y|ies)|spiders?|zebrafish|ferrets?|rabbits?|donkeys?|hoof|hooves|litter|aviary|aquarium|terrarium|kennel|stable|hamsters?|guinea pigs?|parrots?|wasps?|hornets?|crocodiles?|beetles?)\b/i,
    note: "Animals: with somebody who knows the animal, calmly, by the animal-care rules; wash hands afterwards.",
  },
  {
    topic: "first aid",
    pattern:
      /\b(?:bandag\w*|injur\w*|bleeding|wound|first aid|faint\w*|unconscious|burn wound|cpr|splint|paramedic|ambulance)\b/i,
    note: "First aid: protect yourself with gloves, and call the emergency number if in doubt.",
  },
  {
    topic: "people in care",
    pattern:
      /\b(?:children|child|kids?|toddlers?|babies|baby|patients?|elderly|pupils|grandmother|grandfather|resident|participants?|test subjects?|volunteers?|proband\w*)\b/i,
    note: "People in your care: with their consent or that of who answers for them, and never left alone.",
  },
  {
    topic: "outage",
    pattern: new RegExp(
      `\\b(?:restart|reboot|re-boot|power[- ]?cycle|power[- ]?off|power down|switch(?:ing)? off|turn(?:ing)? off|shut(?:ting)? down|unplug|reset|hard[- ]reset|pull the plug|emergency[- ]off|turn .{0,80} to off)\\w*\\b.{0,160}\\b${machine}\\b|\\b(?:power[- ]cycle|reboot|hard[- ]reset)\\w*\\b|\\b${machine}\\b.{0,160}\\b(?:off|down|unplugged)\\b`,
      "i",
    ),
    note: "Outage: warn who uses the machine and see that no work is lost before it loses power.",
  },
  {
    topic: "access",
    pattern:
      /\b(?:server room|data ?cent(?:er|re)|comms room|clean ?room|aisle|switch room|vault|plant room|control room|archive room|restricted)\b/i,
    note: "Access: enter only with permission, follow the rules of the room, and tell its keeper.",
  },
  {
    topic: "laboratory",
    pattern:
      /\b(?:lab|labs|laboratory|glove ?box|fume|wet bench|incubators?|pipettes?|vials?|spectrometers?|beakers?|autosampler)\b/i,
    note: "Laboratory: coat and goggles, and the rules of the room.",
  },
  {
    topic: "codes",
    pattern:
      /\b(?:captchas?|2fa|mfa|second factor|two-factor|one-time|otp|passwords?|pin(?: code)?|passports?|fingerprints?|identity|id card|biometric\w*|yubikey|authenticator|security key|seed phrase|token dongle)\b/i,
    note:
      "Secrets: enter them yourself at the genuine place, and never write a code, password or document number into the evidence.",
  },
  {
    topic: "authority",
    pattern:
      /\b(?:sign(?:s|ed|ing|ature)?|counter-?sign\w*|approv\w*|authori[sz]\w*|swear|oath|affidavit|consent|notar\w*|witness|vouch|certif\w*|initial (?:the|each|every)|sign[- ]?off|vote|ratif\w*|endorse|decid(?:e|ing)|hir(?:e|ing)|dismiss|fire (?:him|her|them)|contract|deed|lease|permit|power of attorney)\b/i,
    note: "Authority: only who is entitled may sign or decide, after reading it; nobody does it in another's name.",
  },
  {
    topic: "money",
    pattern:
      /\b(?:pay(?:s|ing|ment)?|buy\w*|purchas\w*|deposit|settle (?:the|a|up|our|my)|donat\w*|rent|invoice|cash|tickets?|fee|fine|fund\w*|spend\w*|order (?:the|a|an|some|new|more|\d)|bid|tip the|refund|bill|price|wager|auction|out of your own pocket|credit card)\b/i,
    note: "Money: compare amount and payee with the order, stay within the budget, keep the receipt.",
  },
  {
    topic: "privacy",
    pattern:
      /\b(?:call(?!ed\b)(?:s|ing)?|phone|ring (?:up|him|her|them|the)|interview\w*|meet(?:ing)?|talk(?:s|ing)? (?:to|with)|speak(?:ing)? (?:to|with)|discuss\w*|tell|ask|invit\w*|negotiat\w*|survey|video|record\w*|photograph\w*|film|persuade|convince|face[- ]to[- ]face|in person|conversation|greet|on the line|over (?:lunch|coffee|a beer|dinner|the phone)|catch \p{Lu}\w+)\b/iu,
    note: "Privacy: say who you are and what it is for, ask before you record, and note only what they agree to.",
  },
];

/** One kind of evidence: words that ask for it and what it is. */
interface EvidenceRule {
  /** Words anywhere in the part. */
  readonly pattern?: RegExp;
  /** Words where its verb stands. */
  readonly head?: RegExp;
  readonly evidence: string;
}

const evidenceRules: readonly EvidenceRule[] = [
  {
    pattern: /\b(?:captchas?|2fa|mfa|second factor|two-factor|one-time|otp|verify your identity)\b/i,
    evidence: "the confirmation's reference number and time, without any code or document number",
  },
  {
    pattern: /\b(?:sign(?:s|ed|ing|ature)?|counter-?sign\w*|affidavit|oath|notar\w*|deed)\b/i,
    head: /\b(?:initial|swear)\b/i,
    evidence: "scan or photo of the signed page, with name and date",
  },
  {
    pattern: /\b(?:out of your own pocket|receipt|tickets?)\b/i,
    head: /\b(?:pay|buy|purchase|deposit|donate|settle the|rent|order|book)\b/i,
    evidence: "receipt with amount, payee and date",
  },
  {
    pattern: /\b(?:approv\w*|authori[sz]ation|sign-?off|consent)\b/i,
    head: /\b(?:authori[sz]e|vote|ratify|decide|judge|choose|pick|grade|hire|dismiss)\b/i,
    evidence: "the decision in writing, with name, role and date of who made it",
  },
  {
    pattern:
      /\b(?:in person|face[- ]to[- ]face|over (?:lunch|coffee|a beer|dinner|the phone)|on the phone|by phone|phone call|shake on|read (?:it|them|the \w+) out|get the .{0,80} to)\b/i,
    head:
      /\b(?:call|phone|ring up|interview|meet|talk|speak|discuss|tell|ask|invite|negotiate|persuade|convince|greet|announce|present|calm|rehearse|catch|shout|entertain|receive|teach|train|brief)\b/i,
    evidence: "name of the person, date and time, and what was said or agreed",
  },
  {
    head:
      /\b(?:restart|reboot|power|power-cycle|switch|turn|press|hit|reset|hard-reset|physically (?:restart|reboot)|unplug|plug)\b/i,
    evidence: "time of the action, and a photo of the display, the switch or the machine's own boot line after it",
  },
  {
    head: /\b(?:drive|travel|go|visit|climb|accompany|attend|stand|stay|wait|escort|paddle|dive)\b/i,
    evidence: "name, place and time of who was there, with a photo where one is allowed",
  },
  {
    pattern:
      /\b(?:gpus?|cpus?|ram|dimms?|(?:infiniband|network|graphics|mezzanine|raid|pcie?) cards?|modules?|m\.2|ssds?|(?:hard|disk|tape) drives?|disks?|cables?|psus?|power supply|fans?|blowers?|(?:mother|main|display|sensor) ?boards?|nics?|transceivers?|q?sfp\+?|attenuator|batter(?:y|ies)|ups|pdus?|servers?|racks?|sensors?|motors?|valves?|bulbs?|filters?|cartridges?|toner)\b/i,
    evidence: "photo of the finished state with label or serial number in view, and the date",
  },
  {
    head:
      /\b(?:measure|read|count|weigh|time|check|inspect|look|examine|listen|smell|taste|watch|observe|test|patrol|judge)\b/i,
    evidence: "the reading or finding with unit, place and time, and a photo where one is possible",
  },
  {
    head: /\b(?:deliver|bring|carry|take|fetch|collect|pick up|drop|return|hand|ship|post|mail|haul|transport|give)\b/i,
    evidence: "photo at the destination, or a receipt signed by who took it, with the time",
  },
  {
    pattern: /\b(?:samples?|vials?|specimens?|petri|cultures?|blood|swabs?|litmus|biops(?:y|ies))\b/i,
    evidence: "photo with the labels in view, the number of samples, and the time",
  },
  {
    head:
      /\b(?:clean|wipe|scrub|sweep|wash|tidy|clear|polish|rake|mop|shovel|salt|dry|defrost|wring|screen-wipe|dust|vacuum)\b/i,
    evidence: "photo before and after",
  },
  {
    head: /\b(?:feed|water|plant|harvest|walk|groom|milk|prune|trim)\b/i,
    evidence: "photo and time, and what was noticed",
  },
  {
    head:
      /\b(?:hang|glue|paint|build|assemble|install|mount|bolt|screw|unscrew|fix|repair|replace|swap|exchange|change|set|unpack|unbox|lay|put|seal|label|print|cut|fill|pack|stack|store|lock|close|open|shut|tie|frame|push|pull|seat|reseat|dismantle|sandpaper|chalk|brush|cover|fold|level|throw|plant|raise|light|tilt|bury|log)\b/i,
    evidence: "photo of the finished state, and the date",
  },
];

/** What shows that a part was done, where no rule knows better. */
const anyEvidence = "a photo or a note with name, date and time of who did it";

/**
 * What to look out for.
 * @param words the part, with whatever its pronouns stand for
 * @returns the worst first; empty where no word points to a danger
 */
export function safetyOf(words: string): string[] {
  return safetyRules.filter(({ pattern }) => pattern.test(words)).slice(0, MAX_NOTES).map(({ note }) => note);
}

/** What shows that a part was done, as the words for a request. */
export function evidenceOf(words: string): string {
  const head = headOf(words);
  return evidenceRules.find((rule) => rule.head?.test(head) || rule.pattern?.test(words))?.evidence ?? anyEvidence;
}
