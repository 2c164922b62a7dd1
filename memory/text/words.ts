/**
 * Word lists of the search: stop words, which are in no index; irregular forms, which no suffix rule finds; and words that
 * nearly every task has, which by themselves make no entry relevant. English, lower case.
 * @module
 */

const list = (text: string): string[] => text.trim().split(/\s+/);

/** Words without a subject of their own. */
export const stopWords: ReadonlySet<string> = new Set(list(`
  a about above after again against all also am an and any anybody anyone anything are aren as at be because been before
  being below between both but by can cannot could couldn d did didn do does doesn doing don down during each either else
  ever every everybody everyone everything few for from further had hadn has hasn have haven having he hence her here hers
  herself him himself his how however i if in into is isn it its itself just let ll m me might mightn mine more most much
  must mustn my myself neither no nobody nor not nothing now o of off on once one only onto or other others ought our ours
  ourselves out over own per perhaps quite rather re really s same shall shan she should shouldn since so some somebody
  someone something such t than that the their theirs them themselves then there thereby therefore these they thing things
  this those though through thus till to too toward towards under unless until up upon us ve very via was wasn we were
  weren what whatever when whenever where whereas wherever whether which whichever while who whoever whom whose why will
  with within without won would wouldn yes yet you your yours yourself yourselves
  dont doesnt didnt isnt arent wasnt werent cant couldnt wont wouldnt shouldnt hasnt havent hadnt im ive id ill youre
  youve youll weve theyre theyve thats whats wheres whos theres lets its ok okay please
`));

/** Words that ask for work or name its form: they count for little, and an entry that shares only these is not relevant. */
export const taskWords: ReadonlySet<string> = new Set(list(`
  add analyse analyze answer ask begin build call change check collect come compare compose compute confirm contain count
  create current currently decide deliver describe detail determine develop document draft ensure entry explain
  figure file find finish follow format generate get give go good happen help identify include info
  information inspect keep kind know latest list log look make matter mean mention need new newest note number open
  output overview perform plan point prepare present previous print problem produce provide put question quick read
  recent recently record remember report request require result review right run save say see select send set show sort
  start state step stop summarise summarize summary take talk task tell text think time today tomorrow try turn understand
  update use user verify version view want way week work write year yesterday day month last first
`));

const irregular = `
  am is are was were been being = be
  arose arisen = arise | ate eaten = eat | awoke awoken = awake | became = become | began begun = begin | bent = bend
  bit bitten = bite | blew blown = blow | bore borne = bear | bought = buy | bound = bind | broke broken = break
  brought = bring | built = build | burnt = burn | came = come | caught = catch | chose chosen = choose | clung = cling
  crept = creep | dealt = deal | did done does = do | drank drunk = drink | drawn drew = draw | driven drove = drive
  dug = dig | fallen fell = fall | fed = feed | felt = feel | fled = flee | flew flown = fly | forbade forbidden = forbid
  forgot forgotten = forget | fought = fight | found = find | froze frozen = freeze | gave given = give | gone went = go
  got gotten = get | grew grown = grow | had has = have | heard = hear | held = hold | hid hidden = hide | hung = hang
  kept = keep | knelt = kneel | knew known = know | laid = lay | lain = lie | leant = lean | leapt = leap | learnt = learn
  led = lead | left = leave | lent = lend | lit = light | lost = lose | made = make | meant = mean | met = meet
  mistaken mistook = mistake | overcame = overcome | paid = pay | proven = prove | ran = run | rang rung = ring
  ridden rode = ride | risen rose = rise | said = say | sang sung = sing | sank sunk = sink | sat = sit | saw seen = see
  sent = send | sewn = sew | shaken shook = shake | shone = shine | shot = shoot | shown = show | shrank shrunk = shrink
  slept = sleep | slid = slide | sold = sell | sought = seek | spent = spend | spoke spoken = speak | spun = spin
  sprang sprung = spring | stole stolen = steal | stood = stand | struck = strike | stuck = stick | swam swum = swim
  swept = sweep | swollen = swell | swore sworn = swear | taken took = take | taught = teach | thought = think
  threw thrown = throw | told = tell | tore torn = tear | understood = understand | undone = undo | upheld = uphold
  withdrawn withdrew = withdraw | woke woken = wake | won = win | wore worn = wear | wound = wind | written wrote = write
  wove woven = weave | children = child | feet = foot | geese = goose | men = man | mice = mouse | people = person
  teeth = tooth | women = woman | analyses = analysis | axes = axis | crises = crisis | criteria = criterion
  hypotheses = hypothesis | indices = index | knives = knife | leaves = leaf | lives = life | loaves = loaf
  matrices = matrix | phenomena = phenomenon | shelves = shelf | theses = thesis | vertices = vertex | wives = wife
  two = 2 | three = 3 | four = 4 | five = 5 | six = 6 | seven = 7 | eight = 8 | nine = 9 | ten = 10 | eleven = 11
  twelve = 12 | thirteen = 13 | fourteen = 14 | fifteen = 15 | sixteen = 16 | seventeen = 17 | eighteen = 18
  nineteen = 19 | twenty = 20 | thirty = 30 | forty = 40 | fifty = 50 | sixty = 60 | seventy = 70 | eighty = 80
  ninety = 90 | better best = good | worse worst = bad | analyse analysed analysing = analyze
  colour = color | behaviour = behavior | favourite = favorite | centre = center | grey = gray | licence = license
  optimise optimised optimising optimisation = optimize | summarise summarised summarising = summarize
  organise organised organising organisation = organize | normalise normalised normalisation = normalize
`;

/** Base form of words that inflect without a rule, and one spelling of words that have two. */
export const irregularForms: ReadonlyMap<string, string> = new Map(
  irregular.split(/[|\n]/).flatMap((line) => {
    const [forms, base] = line.split("=");
    return base === undefined ? [] : list(forms).map((form): [string, string] => [form, base.trim()]);
  }),
);
