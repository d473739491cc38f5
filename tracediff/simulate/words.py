"""Word lists from which a world draws its advice, symptoms, noise and names: millions of combinations.

No list holds a word by which a stage is recognised (count, answer, search query), so that advice never changes
what a prompt asks for.
"""

# ruff: noqa: SIM905 - hundreds of quoted words read worse than lines of words

from __future__ import annotations

ADJECTIVES = tuple(
    """amber ashen azure blunt brass brisk broad bronze chalky civic coarse cobalt copper coral cordial crimson crisp
    curved dapper dense distant dusty earnest elder ember even faint feral fertile floral formal frosty gilded glassy
    granite gravel hazel hollow humble indigo inner ivory jade lateral leaden linen lofty lunar marble mellow minor
    mossy narrow nimble nordic oaken ochre olive opal outer pallid pewter pine plain polar porous quiet ragged rapid
    remote rigid rustic sable saline scarlet silken silver slate slender solar solid sparse stark stony sturdy tawny
    tidal timber upper urban velvet vivid waxen willow woven""".split()
)
NOUNS = tuple(
    """almanac anchor arbor archive atlas ballast banner barrel basin beacon bellows binder bracket bridge bulletin
    bundle cabinet canopy canvas caravan casket chamber charter chisel cipher circuit cistern clasp column compass
    cradle crate crest curtain dial diagram drawer easel emblem ferry fiber filter flange folder gable gallery gauge
    girder glossary granary gravure grid gutter hamlet harbor harness hinge inlet jetty journal kernel kiln ladder
    lantern lattice lectern ledger lever locket loom manifest mantle margin market meadow medal merger mirror mosaic
    nozzle orchard packet pallet panel parcel pebble pedestal pendant pier pillar pivot plaza pocket portal pulley
    quarry quill rafter ramp register ribbon rudder saddle satchel scaffold schedule sextant shelf shutter signal
    socket spindle spiral stencil sundial tableau tablet tassel terrace thicket token torch trellis tunnel turbine
    valve vault vessel wharf window""".split()
)
VERBS = tuple(
    """align anchor balance bracket catalog chart collate compare compile confirm cross-check detail examine gather
    group index inspect isolate label level map mark measure merge mirror note outline pair parse pin place probe
    rank reconcile record resolve review scan separate sift sort stack stage survey tabulate tag test trace track
    trim unfold validate verify weigh""".split()
)
GERUNDS = tuple(
    """adjusting approving arranging assembling assigning binding blending bridging casting clearing closing combining
    committing concluding confirming crossing dating deciding drafting drawing editing ending entering filing filling
    finishing fixing folding forming framing joining judging landing laying leaving lifting linking loading locking
    mending mixing moving naming opening packing passing posting printing pulling pushing reading sealing sending
    setting settling shaping shifting signing sliding sorting splitting spreading stating storing summing taking tying
    turning weaving winding working writing""".split()
)
PARTICIPLES = tuple(
    """abandoned blurred bypassed clipped confused copied crossed delayed diluted discarded distorted doubled dropped
    eclipsed faded flattened folded forgotten guessed halved hidden ignored inverted lost masked merged misfiled
    mislaid misread misplaced mixed muddled neglected obscured omitted overlooked overridden passed reversed rushed
    scattered shortened shuffled skewed skipped smudged sprained stranded swapped tangled truncated twisted undone
    unread untested warped withheld""".split()
)
ADVERBS = tuple(
    """abruptly again altogether badly blindly briefly carelessly clumsily early entirely faintly freely halfway
    hastily lately loosely midway mostly needlessly oddly often partly plainly poorly quickly quietly rashly roughly
    silently slightly slowly suddenly twice unevenly vaguely weakly wholly wildly""".split()
)
ADVICE_FORMS = (
    "{verb} every {topic} before {gerund} the {noun}",
    "always {verb} the {topic} and keep the {noun} in view",
    "when the {topic} comes up, {verb} it against the {noun}",
    "{verb} each {topic} first, then go on to {gerund}",
    "do not pass over any {topic}: {verb} it beside the {noun}",
    "take the {topic} one at a time and {verb} its {noun}",
    "for the {topic}, {verb} what the {noun} holds",
    "start by {gerund} the {topic} with its {noun}",
)
SYMPTOM_FORMS = (
    "the {topic} was {participle} {adverb}",
    "one {topic} stood {participle} {adverb} here",
    "this part left the {topic} {participle} {adverb}",
    "the {topic} got {participle} on the way, {adverb}",
)
SYLLABLES = tuple(
    """ba be bo bra bri da del dor dra du fa fel fen gar gel gol gru ha hel hor ja jor ka kel kor kra la lem lin lor
    ma mel mir mor na nel nir nor pa pel por qua ra rel rin ror sa sel sor sta ta tel tor tra va vel vin vor wa wel
    yor za zel zin""".split()
)
NAME_ENDINGS = ("dan", "gard", "len", "mond", "nia", "ric", "stad", "ton", "vik", "wen")
RELATIONS = tuple(
    """advocate apprentice architect benefactor biographer composer curator deputy emissary engraver founder gardener
    governor guardian heir herald landlord librarian mentor navigator neighbour notary patron physician printer
    publisher rival sculptor sponsor steward successor surveyor tailor tenant translator treasurer tutor
    warden""".split()
)
REMARKS = (
    "Travellers of that time mention it in passing.",
    "Later writers repeat this without doubt.",
    "Two old letters bear this out.",
    "The matter was settled in a dry summer.",
    "A plaque at the gate recalls it.",
    "Few visitors ask about it today.",
    "The story is told in three villages.",
    "Nothing else survives from that year.",
)
COUNTED = {
    "fruits": "apple apples,apricot apricots,banana bananas,blackberry blackberries,cherry cherries,fig figs,"
    "grape grapes,lemon lemons,mango mangoes,nectarine nectarines,orange oranges,peach peaches,pear pears,plum plums,"
    "raspberry raspberries,strawberry strawberries",
    "musical instruments": "accordion accordions,bassoon bassoons,cello cellos,clarinet clarinets,drum drums,"
    "flute flutes,guitar guitars,harp harps,oboe oboes,piano pianos,trombone trombones,trumpet trumpets,"
    "viola violas,violin violins",
    "animals": "bear bears,camel camels,cat cats,cow cows,dog dogs,donkey donkeys,duck ducks,frog frogs,goat goats,"
    "hen hens,horse horses,otter otters,pig pigs,rabbit rabbits,snake snakes",
    "vegetables": "cabbage cabbages,carrot carrots,cucumber cucumbers,leek leeks,onion onions,parsnip parsnips,"
    "potato potatoes,pumpkin pumpkins,radish radishes,tomato tomatoes,turnip turnips,yam yams",
    "household things": "bed beds,chair chairs,clock clocks,couch couches,fridge fridges,kettle kettles,lamp lamps,"
    "mirror mirrors,oven ovens,shelf shelves,stove stoves,table tables,toaster toasters",
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
