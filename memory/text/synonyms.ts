/**
 * Words that people use for one another, so that a question finds an answer that was put differently: near synonyms, nouns
 * and verbs that no suffix rule brings together, doers of a verb. They widen a query at a lower weight; entries are indexed
 * as they are. English, general and of this field; a word may stand in several groups.
 * Long because it is a list of words.
 * @module
 */
import { stem } from "./stem.ts";

const groups = `
  abandon drop discontinue discard
  accident crash collision
  accomplish achieve attain reach
  address location place whereabouts
  agree consent approve accept
  aim goal target objective
  allow permit let authorize
  allergy allergic intolerance hives
  amount quantity sum total
  animal pet beast
  answer reply response respond
  appointment meeting date booking
  arrive come reach
  assist help support aid
  attach fasten fix mount
  author writer wrote
  autumn fall
  baby infant toddler
  bad poor wrong terrible
  begin start commence launch kickoff
  bicycle bike cycle
  bill invoice receipt charge
  blog site website
  book reserve reservation booking
  boss manager supervisor head
  breakdown outage failure downtime
  broken defective faulty damaged
  brother sister sibling
  budget spend expense fund money cost
  bug defect error fault flaw
  build compile construct make
  buy purchase acquire order
  call phone ring telephone dial
  cancel scrap revoke drop
  car vehicle automobile van
  carry transport haul bring
  cause reason trigger origin why
  celebrate party birthday anniversary
  cellar basement
  certain sure confident
  change alter modify switch adjust
  cheap inexpensive affordable
  check verify inspect examine test
  child kid son daughter
  choose pick select decide opt
  city town municipal
  clean wash scrub cleaner
  clever smart intelligent
  client customer consumer user
  close shut closed
  coat jacket
  cold chilly freezing frost
  colleague coworker teammate newcomer
  color hue tint shade
  commute travel ride drive
  company firm business employer
  complain grumble complaint
  complete finish done end
  computer laptop machine workstation pc
  conceal hide mask cover
  conference workshop symposium
  config configuration setting preference
  connect link join attach
  contract lease agreement
  cook bake prepare
  copy duplicate clone
  corpus dataset text data
  correct right accurate
  cost price expense fee rate
  crash fail abort die diverge
  create make build generate produce
  cure treat treatment therapy medicine tablet drug
  customer client
  damage harm destroy ruin break
  danger risk hazard
  deadline due date
  decide choose agree
  decrease reduce lower shrink drop cut
  defer delay postpone
  delete remove erase purge
  deliver delivery ship courier parcel
  dentist dental tooth teeth
  deploy rollout release ship
  desk table workplace
  destroy ruin wreck
  detect discover find notice
  disk drive storage
  dissertation thesis
  doctor physician paediatrician vet
  dog puppy hound
  drink beverage pour
  earn income salary wage pay payroll
  easy simple
  eat food meal diet chew
  employ hire recruit join
  empty vacant free unused
  error mistake fault bug
  evaluate score assess measure
  exam examination test
  exchange swap replace
  expensive costly pricey
  experiment trial run attempt
  explain describe clarify
  fail failure break crash
  family relative parent
  fast quick rapid speed
  fear afraid scared
  fee price charge cost
  film movie record shoot
  firm company
  fix repair mend resolve
  flat apartment home
  flight plane airplane airline
  floor storey level
  forbid prohibit ban disallow
  friend mate buddy
  garden yard
  gas petrol fuel
  gift present
  glad happy pleased
  gpu card accelerator
  group team department
  grow increase rise expand
  guest visitor
  hack exploit attack breach
  handle cope manage
  heal recover recovery rehabilitation cure
  heat warm hot temperature
  hide conceal
  hobby pastime leisure
  holiday vacation leave trip away
  hospital clinic
  hotel hostel accommodation
  house home building
  hurt injure injury pain tear
  ill sick unwell illness disease
  improve better enhance gain benefit
  increase raise grow rise
  injure hurt wound
  install setup
  instrument tool device
  insurance coverage policy
  internet network wifi wireless online
  issue problem trouble bug
  jacket coat
  job work position occupation role
  join enter merge combine
  journey trip travel voyage
  keep retain store hold
  kill terminate stop
  lab laboratory
  large big huge
  last endure duration
  latency delay response
  laundry washing
  lawyer attorney solicitor
  leak drip seep
  learn study
  lecture talk presentation speech
  lend loan borrow
  lesson class course
  license permit
  limit maximum cap quota
  lock bolt
  log record journal
  login signin logon
  lose misplace
  loss score bpb
  lunch dinner meal
  mail email message letter newsletter
  maintain upkeep service
  mathematics maths math
  measure gauge meter
  medication medicine tablet drug pill
  meet encounter
  memory ram
  mend repair
  merge combine squash
  message note letter
  mistake error
  model network net
  money cash dollar euro fund
  mother mum mom
  move relocate transfer shift
  music song concert
  name call
  neighbour neighbor
  night evening nightly
  noise sound hum whine rattle
  novel book
  nurse caregiver
  occur happen
  office workplace
  often frequently
  old former previous earlier outdated
  operation surgery
  order request
  outage downtime breakdown
  oven stove
  own possess
  package parcel library
  painful sore
  paper article manuscript
  parameter hyperparameter setting knob
  password passphrase code pin secret
  pause break rest
  pay payment paid
  perish die dead
  permit allow
  person people human
  physician doctor
  picture photo image
  pipeline ci
  plane flight
  plant flower fern
  play perform
  pointless useless
  postpone delay defer
  price cost
  prize award
  problem issue trouble difficulty
  profession job
  promise pledge
  protect guard secure
  proxy gateway
  pupil student
  purchase buy
  put place store keep
  quarrel argue dispute
  quick fast
  quit resign leave
  rapid fast
  rate speed pace
  ready prepared
  receive get obtain
  record best
  recover heal
  refund reimburse repay
  refuse decline reject deny
  remedy solution fix
  remove delete strip drop
  rent lease
  repair fix
  replace exchange substitute
  report document
  request ask
  require need
  reserve book
  restaurant cafe diner
  result outcome
  return give
  room chamber
  route path way
  rule regulation policy
  sack dismiss fire
  sad unhappy
  salary wage
  save store persist
  say tell mention
  schedule timetable plan decay
  school kindergarten
  secure safe
  sell sold
  send deliver dispatch
  separate split divide
  server host node machine
  shop store
  show display
  shrink reduce
  sick ill
  sign signature
  silent quiet
  site website
  slow sluggish
  small little tiny
  snapshot checkpoint
  sofa couch
  solve resolve fix
  speech voice spoken
  speed throughput
  spouse wife husband partner
  stairs staircase stairwell
  start begin
  station depot
  steal stolen theft
  stop halt cease
  store keep save
  storm gale
  strange odd weird
  street road
  strong powerful
  student pupil
  subject topic theme
  substitute replace
  succeed success

  suggest propose recommend
  supervise oversee
  surgery operation
  swap exchange
  symptom sign
  take borrow
  talk speak conversation
  tall high
  task job
  teach teacher tutor instructor
  team crew group
  terminate end
  test exam trial
  thank grateful
  throughput rate
  thesis dissertation
  tidy clean
  timeout deadline
  tiny small
  tool instrument
  train coach
  transcript transcribe
  translate translation
  transmit send
  travel trip journey flight
  try attempt
  tutor teacher
  type kind
  umbrella parasol
  unite join
  unusual strange rare
  update upgrade refresh
  upgrade migrate
  use employ apply
  useful helpful
  vacation holiday
  valid good
  vanish disappear
  vehicle car
  verify check confirm
  vet veterinarian
  view look
  village hamlet
  visit visitor
  vocabulary lexicon
  wage salary
  wait queue
  walk stroll hike hiking
  wall fence
  want wish desire
  warn alert alarm
  watch observe
  water irrigate
  weak feeble
  wealthy rich
  weather forecast
  website page
  weight mass
  wireless wifi
  woman lady female
  wound injury
  write draft
  wrong incorrect
  yard garden
`;

const derived = `
  absent absence | accede access | admit admission | advise advice | analyze analysis | apply application applicant
  approve approval | arrive arrival | bake bakery | bath bathe | believe belief | breathe breath | broad breadth
  bury burial | choose choice | clear clarity | close closure | collide collision | compare comparison
  compress compression | conclude conclusion | confuse confusion | convert conversion | decide decision | deep depth
  defend defense | deny denial | describe description | destroy destruction | die death dead | differ difference
  divide division | enter entry entrance | expand expansion expansive | explain explanation | explode explosion
  extend extension extent | fail failure | fly flight | food feed | full fill | give gift | grow growth | hate hatred
  heal health | high height | hot heat | include inclusion | intend intention | introduce introduction | invade invasion
  know knowledge | laugh laughter | live life alive | long length | lose loss | maintain maintenance | marry marriage
  measure measurement | mix mixture | move motion movement | offend offense | omit omission | permit permission
  persuade persuasion | please pleasure | poor poverty | press pressure | proceed procedure process | produce production
  promote promotion | propose proposal | prove proof | provide provision | pursue pursuit | receive reception receipt
  recover recovery | reduce reduction | refuse refusal | relieve relief | remove removal | renew renewal
  repeat repetition | require requirement | resolve resolution | restrict restriction | reveal revelation
  revise revision | safe safety | sell sale | serve service | shoot shot | sign signature | sing song | sit seat
  solve solution | speak speech | strong strength | submit submission | subscribe subscription | succeed success
  suspect suspicion | suspend suspension | tempt temptation | tend tendency | think thought | transmit transmission
  true truth | vary variation variance | wait waiting | warm warmth | weigh weight | wide width | wise wisdom | young youth
`;

const answers = new Map<string, readonly string[]>();
/** Entries of the cache; it is emptied when full. */
const ANSWERS = 5000;
const text = groups + derived;

/** The other words of all groups that have one of this stem. Searches the text: a table of stems takes 17 ms to make. */
function grouped(term: string): string[] {
  const found: string[] = [];
  const prefix = ` ${term.slice(0, -1)}`; // no suffix rule changes more of a stem than its last letter
  for (let at = text.indexOf(prefix); at >= 0; at = text.indexOf(prefix, at + 1)) {
    const end = text.slice(at + 1).search(/[\s|]/) + at + 1;
    if (stem(text.slice(at + 1, end)) !== term) continue;
    const from = Math.max(text.lastIndexOf("\n", at), text.lastIndexOf("|", at)) + 1;
    const to = text.slice(end).search(/[\n|]/) + end;
    for (const word of text.slice(from, to).trim().split(/\s+/)) found.push(stem(word));
  }
  return found;
}

/** The doer of a verb and the verb of a doer, as stems: tune and tuner, run and runner. Guesses that no entry has cost little. */
function doers(term: string): string[] {
  if (!/^[a-z]{3,}$/.test(term)) return [];
  if (term.length > 4 && /[eo]r$/.test(term)) {
    const root = term.slice(0, -2);
    const single = /([b-df-hj-np-tv-z])\1$/.test(root) ? [root.slice(0, -1)] : [];
    return [...new Set([stem(root), stem(`${root}e`), ...single])];
  }
  const root = term.endsWith("e") ? term.slice(0, -1) : term;
  const double = /[^aeiou][aeiou][bdgklmnprt]$/.test(root) ? [`${root}${root.at(-1)}er`] : [];
  return [...new Set([`${root}er`, `${root}or`, ...double].map(stem))];
}

/** Stems of words that may stand for this one, the likeliest first. */
export function synonymsOf(term: string): readonly string[] {
  let answer = answers.get(term);
  if (answer === undefined) {
    if (answers.size >= ANSWERS) answers.clear();
    answer = [...new Set([...grouped(term), ...doers(term)])].filter((other) => other !== term);
    answers.set(term, answer);
  }
  return answer;
}
