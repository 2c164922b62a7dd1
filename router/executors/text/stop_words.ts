/**
 * The commonest words of languages in Latin, Cyrillic and Greek letters: what a summary must not count, and what a
 * language is told by. Written from general knowledge of the languages.
 * @module
 */

const lists: Readonly<Record<string, string>> = {
  en:
    "the of and to a in is it that for on was with as be by this are at or from not which but have an they you were " +
    "their one all we can her has there been if more when will would who so no she he his him its what up out about into " +
    "than them then some could other only these two may do over any my now such our your how also did just me after " +
    "before between through where while those both each being very here because does had should same too under most must " +
    "against during without again still us am why off down own few nor once every until upon yet though however whether " +
    "i'm it's don't doesn't didn't isn't wasn't can't won't i i'd we'd that's there's they're you're let us",
  de:
    "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass " +
    "sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch " +
    "man sein wurde sei ich kann gegen vom können schon wenn habe seine ihre dann unter wir soll eines wurden diese " +
    "dieser dieses muss jedoch wieder keine weil damit sowie ihr uns du mir mich was wo alle",
  fr:
    "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec ou son aux mais " +
    "comme on sa cette été ses être ont fait leur nous deux ces même entre aussi elle dont tout après sans peut faire sous " +
    "où était très donc ils vous lui je qu'il c'est d'un d'une n'est encore alors avant bien cela si leurs contre depuis",
  es:
    "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si sin sobre este " +
    "ya entre cuando todo esta ser son dos también fue había era muy años hasta desde está mi porque qué sólo han yo hay " +
    "vez puede todos así nos ni parte tiene él uno donde bien tiempo mismo ese ahora cada otro después te otros",
  it:
    "di e il la che in a per è un del non con si da una le dei al come ma i più della sono nel alla anche lo delle ha o gli " +
    "dal se questo su ci degli questa tra all'  nella essere sua stato ne era suo dalla cui anni solo due tutti fra mi " +
    "hanno dopo prima sulla ogni stata così può quando molto dove perché loro quello senza quella fatto",
  pt:
    "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser " +
    "quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus quem nas me " +
    "esse eles estão você tinha foram essa num nem suas meu às minha têm numa pelos havia seja qual será nós",
  nl:
    "de het van een en in is dat op te zijn voor met die niet aan er om ook als dan maar bij door nog naar wordt over uit " +
    "heeft worden hebben kan deze wel geen ze hij was werd meer tot onder tegen wat moet ik je al na zo zich waar andere " +
    "veel zou omdat haar hun hoe onze alle door deze dit had",
  sv:
    "och i att det som en på är av för med den till har de inte om ett han men var sig från vi så kan när eller ska efter " +
    "vid under också man nu här utan skulle mot mycket över bara sin där vara än hade blir alla många hon ut andra år " +
    "mellan detta denna dessa jag du vad upp",
  da:
    "og i at det er en til af på for den med de som ikke der et har om var han fra men kan vi så sig eller ved efter blev " +
    "også skal hun over havde være nu end op ud hvor når år mod under mellem dette denne disse jeg du hvad blive meget " +
    "kun anden alle bliver deres",
  no:
    "og i det er på en til av som for at med har de ikke den om et var han fra men kan vi så seg eller ved etter ble også " +
    "skal hun over hadde være nå enn opp ut hvor når år mot under mellom dette denne disse jeg du hva bli mye bare andre " +
    "alle blir deres noe",
  fi:
    "ja on ei se että oli hän mutta ovat myös kun ole niin tai joka kuin sen mukaan jo vain sitä vuoden olla sekä jos ne " +
    "siitä hänen mitä nyt vielä kanssa voi ennen sitten aikana kaikki joka jossa minä sinä me he tämä tämän nämä koska " +
    "jälkeen hyvin olivat",
  pl:
    "w i na z do się nie jest to że o jak a od za po przez dla są co ale tak już czy oraz był tylko jego ich może przy " +
    "jej być także które który która ze było ma jako pod więc jeszcze gdy nad ten tego tym tej te można bez też",
  cs:
    "a v se na je že o s z do to i pro ve jako za by si ale po byl jsou od které který když už jeho jen podle před také " +
    "nebo jak tak aby však má k být při která co není bude než mezi jejich může kde této tento bylo",
  tr:
    "ve bir bu da de için ile olarak çok daha olan gibi en kadar sonra ne ama var olduğu her göre o ki değil oldu ise " +
    "veya ya hem mi ben sen biz onun bunu bunun şey iki diye şu yok nasıl ancak sadece tüm",
  hu:
    "a az és hogy nem is egy ez meg volt csak de azt mint már van még el ha vagy ki kell más lehet ezt fel le után sem " +
    "lesz aki ami minden között szerint úgy itt ott most majd amely nagyon során",
  ro:
    "de și în a la cu pe nu care din mai că o un este pentru se sau ca fi prin au fost am sunt ce cel după dar fără când " +
    "între lui său sa iar doar foarte acest această până vor poate",
  ru:
    "и в не на я что он с как это а по к но из у за от о же так для вы мы они бы все она был его то было быть или только " +
    "их мне ещё еще уже если когда при до чтобы также этого были которые который может после под есть нет без более",
  uk:
    "і в не на що з як до це та за від про він для але так у ми ви вони був його її то було бути або тільки їх ще вже " +
    "якщо коли при щоб також цього були які який може після під є немає без більше",
  bg:
    "и на в да е за се от с не по че са като това до към при или които ще след най още само бъде има както този тази може " +
    "между беше били си го ги ли",
  el:
    "και το η ο να του την της για με που στο τα τον από των είναι σε δεν θα στη οι στην τη ότι τις αλλά μια ένα ή έχει " +
    "στον όπως μας πως κατά μετά ήταν αυτό αυτή",
};

/** Languages that stop words are known of, as ISO 639-1. */
export const languagesWithStopWords: readonly string[] = Object.keys(lists);

const sets = new Map<string, ReadonlySet<string>>();

/** The commonest words of a language, in lower case; empty where none are known. */
export function stopWords(language: string): ReadonlySet<string> {
  let set = sets.get(language);
  if (set === undefined) {
    set = new Set((lists[language] ?? "").split(/\s+/).filter((word) => word !== ""));
    sets.set(language, set);
  }
  return set;
}
