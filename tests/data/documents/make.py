"""Writes the twelve documents: `python -m tests.data.documents.make`. A test compares."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from tests.data.documents.formats import docx, heading, paragraph, pdf, table

FOLDER = Path(__file__).parent

QUESTIONS = {
    "lighthouse.txt": "When is the lamp of the lighthouse lit?",
    "bienen.md": "Wie füttert man Bienen im Winter?",
    "fromage.html": "À quelle température doit-on affiner le fromage ?",
    "huerto.html": "¿Cuándo se plantan los tomates en el huerto?",
    "museum.pdf": "What does a ticket for the museum cost?",
    "heizung.pdf": "Wie entlüftet man einen Heizkörper?",
    "alquiler.docx": "¿Cuánto es la fianza del piso?",
    "refuge.docx": "Quels sont les horaires du refuge de montagne ?",
    "zuege.csv": "Wann fährt der Zug nach Salzburg?",
    "ramen.csv": "味噌ラーメンはいくらですか?",
    "bicycles.json": "Which bicycle carries the most weight?",
    "onsen.json": "温泉にタオルを持って行く必要がありますか?",
}
"""Of each document what only it answers, in its own language."""


def documents() -> dict[str, bytes]:
    """Every file by its name."""
    texts = {"lighthouse.txt": _LIGHTHOUSE, "bienen.md": _BEES, "fromage.html": _CHEESE, "huerto.html": _GARDEN}
    return {name: text.encode() for name, text in texts.items()} | {
        "museum.pdf": pdf(_MUSEUM, titles=[("Opening hours", 0), ("Tickets", 1)]),
        "heizung.pdf": pdf(_HEATING, titles=[("Entlüften", 0), ("Wasserdruck", 1)]),
        "alquiler.docx": docx(
            heading("Contrato de alquiler")
            + heading("Fianza", 2)
            + paragraph("La fianza del piso es de 1.400 euros y se devuelve al final del contrato.")
            + heading("Mascotas", 2)
            + paragraph("Se admiten gatos; los perros necesitan permiso del propietario.")
        ),
        "refuge.docx": docx(
            heading("Refuge du Lac Blanc")
            + paragraph("Le refuge de montagne accueille les marcheurs de juin à septembre.")
            + table([["Service", "Horaires"], ["Petit déjeuner", "de 6 h à 8 h"], ["Dîner", "à 19 h précises"]])
        ),
        "zuege.csv": _rows(_TRAINS, ";").encode("cp1252"),
        "ramen.csv": _rows(_RAMEN, ",").encode(),
        "bicycles.json": json.dumps(_BICYCLES, indent=2).encode(),
        "onsen.json": json.dumps(_ONSEN, indent=2, ensure_ascii=False).encode(),
    }


def _rows(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue()


_LIGHTHOUSE = """The keeper's book

The lamp of the lighthouse is lit half an hour before sunset and put out half an hour after sunrise.

In fog the horn sounds twice a minute. The oil for the lamp is kept in the cellar, in barrels of forty gallons.
"""
_BEES = """# Das Bienenjahr

## Winter

Im Winter füttert man die Bienen mit Zuckerteig, denn flüssiges Futter nehmen sie in der Kälte nicht an.

## Sommer

| Monat | Arbeit |
|---|---|
| Juni | Schwärme einfangen |
| Juli | Honig schleudern |

```python
honey_kg = hives * 15
```
"""
_CHEESE = """<!doctype html><html lang="fr"><head><title>Fromage</title><style>p { color: red }</style></head><body>
<nav><a href="/">Accueil</a></nav><main><h1>Le fromage de chèvre</h1>
<h2>Affinage</h2><p>On affine le fromage à une température de <b>12 degrés</b>, pendant trois semaines.</p>
<h2>Conservation</h2><p>Il se garde dans du papier, jamais dans du plastique.</p></main>
<footer>Tous droits réservés</footer><script>track()</script></body></html>
"""
_GARDEN = """<html lang="es"><body><h1>El huerto</h1><h2>Primavera</h2>
<p>Los tomates se plantan en abril, cuando ya no hay heladas.</p><h2>Riego</h2>
<ul><li>Los tomates: cada dos días</li><li>Las cebollas: una vez por semana</li></ul></body></html>
"""
_MUSEUM = [
    ["Museum of Clocks", "Opening hours", "The museum is open from ten to five, and closed on Mondays."],
    ["Tickets", "A ticket for the museum costs nine pounds; children under twelve", "come in free."],
]
_HEATING = [
    [
        "Entlüften",
        "Zum Entlüften dreht man das Ventil am Heizkörper mit dem Vierkant-",
        "schlüssel auf, bis Wasser kommt.",
    ],
    ["Wasserdruck", "Der Druck der Anlage soll zwischen 1,5 und 2 bar liegen."],
]
_TRAINS = [
    ["Ziel", "Abfahrt", "Gleis"],
    ["Salzburg", "7:42 Uhr", "12"],
    ["Zürich", "8:05 Uhr", "3"],
    ["Köln", "9:31 Uhr", "5"],
]
_RAMEN = [
    ["料理", "値段", "説明"],
    ["醤油ラーメン", "850円", "鶏だしのあっさりしたスープ"],
    ["味噌ラーメン", "950円", "北海道の味噌を使った濃いスープ"],
    ["餃子", "400円", "六個入り"],
]
_BICYCLES = {
    "shop": "Pedal & Chain",
    "bicycles": [
        {"model": "Courier", "kind": "cargo bicycle", "carries": "180 kg", "gears": 8},
        {"model": "Swift", "kind": "racing bicycle", "carries": "95 kg", "gears": 22},
    ],
}
_ONSEN = {
    "案内": [
        {"質問": "タオルは必要ですか", "答え": "タオルは温泉の受付で借りられますので、持って来なくても大丈夫です。"},
        {"質問": "営業時間", "答え": "朝六時から夜十一時まで開いています。"},
    ]
}

if __name__ == "__main__":
    for name, content in documents().items():
        (FOLDER / name).write_bytes(content)
