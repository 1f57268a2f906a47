//! Names of people as they are: many scripts, one word or several, and the white space that people paste.
//! Data only; used by `data`.

/// People of one language: how they write given and family names, each with its Latin letters for an
/// email address, and how the two are put together.
pub struct People {
    pub language: &'static str,
    pub country: &'static str,
    pub cities: &'static [&'static str],
    pub streets: &'static [&'static str],
    pub given: &'static [(&'static str, &'static str)],
    pub family: &'static [(&'static str, &'static str)],
    pub order: Order,
}

/// How a full name is put together.
pub enum Order {
    GivenFirst,
    /// Family name first, without a space: one word.
    FamilyFirstJoined,
    /// Family name first, an ideographic space between (U+3000).
    FamilyFirstWide,
}

use Order::{FamilyFirstJoined, FamilyFirstWide, GivenFirst};

pub const PEOPLE: &[People] = &[
    People {
        language: "en",
        country: "GB",
        cities: &["London", "Leeds", "Bath"],
        streets: &["1 Mill Lane", "22 Station Road", "7 Church Street"],
        given: &[
            ("Ada", "ada"),
            ("Grace", "grace"),
            ("Alan", "alan"),
            ("Mary Ann", "maryann"),
        ],
        family: &[
            ("King Lovelace", "lovelace"),
            ("O'Connor", "oconnor"),
            ("Smith-Jones", "smithjones"),
            ("Young", "young"),
        ],
        order: GivenFirst,
    },
    People {
        language: "de",
        country: "DE",
        cities: &["München", "Köln", "Berlin"],
        streets: &["Lindenstraße 4", "Am Brühl 12", "Große Gasse 9"],
        given: &[
            ("Jürgen", "juergen"),
            ("Zoë", "zoe"),
            ("Ursula", "ursula"),
            ("Käthe", "kaethe"),
        ],
        family: &[
            ("Groß", "gross"),
            ("Müller", "mueller"),
            ("von der Höhe", "hoehe"),
            ("Weiß", "weiss"),
        ],
        order: GivenFirst,
    },
    People {
        language: "fr",
        country: "FR",
        cities: &["Orléans", "Saint-Étienne", "Paris"],
        streets: &[
            "3 rue de l'Église",
            "14 allée des Chênes",
            "8 place d'Armes",
        ],
        given: &[
            ("Zoé", "zoe"),
            ("François", "francois"),
            ("Anne-Laure", "annelaure"),
            ("Gaël", "gael"),
        ],
        family: &[
            ("Lefèvre", "lefevre"),
            ("Nuñez", "nunez"),
            ("D'Aubigné", "daubigne"),
            ("Çelik", "celik"),
        ],
        order: GivenFirst,
    },
    People {
        language: "pl",
        country: "PL",
        cities: &["Łódź", "Kraków", "Gdańsk"],
        streets: &["ul. Długa 5", "ul. Świętojańska 11", "Rynek 2"],
        given: &[
            ("Łukasz", "lukasz"),
            ("Żaneta", "zaneta"),
            ("Stanisław", "stanislaw"),
            ("Ewa", "ewa"),
        ],
        family: &[
            ("Wójcik", "wojcik"),
            ("Kowalczyk", "kowalczyk"),
            ("Brzęczyszczykiewicz", "brzecz"),
            ("Źdźbło", "zdzblo"),
        ],
        order: GivenFirst,
    },
    People {
        language: "vi",
        country: "VN",
        cities: &["Hà Nội", "Huế", "Đà Nẵng"],
        streets: &["12 Hàng Bạc", "5 Lê Lợi", "88 Trần Phú"],
        given: &[
            ("Nguyễn Thị", "thi"),
            ("Trần Văn", "van"),
            ("Lê Quốc", "quoc"),
            ("Phạm Minh", "minh"),
        ],
        family: &[
            ("Hương", "huong"),
            ("Đức", "duc"),
            ("Dũng", "dung"),
            ("Ánh", "anh"),
        ],
        order: GivenFirst,
    },
    People {
        language: "uk",
        country: "UA",
        cities: &["Київ", "Львів", "Одеса"],
        streets: &[
            "вул. Шевченка, 7",
            "вул. Січових Стрільців, 21",
            "пл. Ринок, 1",
        ],
        given: &[
            ("Олена", "olena"),
            ("Тарас", "taras"),
            ("Ґалаґан", "galagan"),
            ("Софія", "sofiia"),
        ],
        family: &[
            ("Шевченко", "shevchenko"),
            ("Їжакевич", "izhakevych"),
            ("Коваль", "koval"),
            ("Бойко", "boiko"),
        ],
        order: GivenFirst,
    },
    People {
        language: "el",
        country: "GR",
        cities: &["Αθήνα", "Θεσσαλονίκη", "Πάτρα"],
        streets: &["Ερμού 10", "Αγίας Σοφίας 3", "Ρήγα Φεραίου 45"],
        given: &[
            ("Γιώργος", "giorgos"),
            ("Ελένη", "eleni"),
            ("Αθηνά", "athina"),
            ("Νίκος", "nikos"),
        ],
        family: &[
            ("Παπαδόπουλος", "papadopoulos"),
            ("Ιωάννου", "ioannou"),
            ("Καζαντζάκης", "kazantzakis"),
            ("Σεφέρης", "seferis"),
        ],
        order: GivenFirst,
    },
    People {
        language: "ar",
        country: "EG",
        cities: &["القاهرة", "الإسكندرية", "أسوان"],
        streets: &["شارع التحرير ٥", "شارع النيل ١٢", "ميدان رمسيس ١"],
        given: &[
            ("محمد", "mohamed"),
            ("فاطمة", "fatima"),
            ("يوسف", "youssef"),
            ("عائشة", "aisha"),
        ],
        family: &[
            ("عبد الرحمن", "abdelrahman"),
            ("الخطيب", "elkhatib"),
            ("حسين", "hussein"),
            ("محفوظ", "mahfouz"),
        ],
        order: GivenFirst,
    },
    People {
        language: "he",
        country: "IL",
        cities: &["תל אביב", "חיפה", "ירושלים"],
        streets: &["רחוב הרצל 8", "שדרות רוטשילד 30", "רחוב יפו 97"],
        given: &[
            ("נועה", "noa"),
            ("דוד", "david"),
            ("יעל", "yael"),
            ("איתן", "eitan"),
        ],
        family: &[
            ("כהן", "cohen"),
            ("בן־גוריון", "bengurion"),
            ("לוי", "levi"),
            ("מזרחי", "mizrahi"),
        ],
        order: GivenFirst,
    },
    People {
        language: "hi",
        country: "IN",
        cities: &["दिल्ली", "वाराणसी", "जयपुर"],
        streets: &["गांधी मार्ग 4", "स्टेशन रोड 17", "नेहरू नगर 2"],
        given: &[
            ("प्रिया", "priya"),
            ("अर्जुन", "arjun"),
            ("लक्ष्मी", "lakshmi"),
            ("श्रीनिवास", "srinivas"),
        ],
        family: &[
            ("शर्मा", "sharma"),
            ("त्रिवेदी", "trivedi"),
            ("सिंह", "singh"),
            ("चौधरी", "chaudhary"),
        ],
        order: GivenFirst,
    },
    People {
        language: "th",
        country: "TH",
        cities: &["กรุงเทพฯ", "เชียงใหม่", "ภูเก็ต"],
        streets: &["ถนนสุขุมวิท 21", "ถนนเจริญกรุง 8", "ซอยอารีย์ 3"],
        given: &[
            ("สมชาย", "somchai"),
            ("ศิริพร", "siriporn"),
            ("ณัฐ", "nat"),
            ("ปิยะ", "piya"),
        ],
        family: &[
            ("ใจดี", "jaidee"),
            ("ทองคำ", "thongkham"),
            ("ศรีสุข", "srisuk"),
            ("วงศ์ไทย", "wongthai"),
        ],
        order: GivenFirst,
    },
    People {
        language: "zh",
        country: "CN",
        cities: &["北京", "上海", "成都"],
        streets: &["长安街1号", "南京路88号", "人民路12号"],
        given: &[
            ("小明", "xiaoming"),
            ("丽华", "lihua"),
            ("建国", "jianguo"),
            ("𠮷祥", "jixiang"),
        ],
        family: &[
            ("王", "wang"),
            ("李", "li"),
            ("欧阳", "ouyang"),
            ("张", "zhang"),
        ],
        order: FamilyFirstJoined,
    },
    People {
        language: "ko",
        country: "KR",
        cities: &["서울", "부산", "대구"],
        streets: &["종로 1", "세종대로 110", "해운대로 7"],
        given: &[
            ("민준", "minjun"),
            ("서연", "seoyeon"),
            ("지우", "jiwoo"),
            ("하늘", "haneul"),
        ],
        family: &[
            ("김", "kim"),
            ("이", "lee"),
            ("박", "park"),
            ("남궁", "namgung"),
        ],
        order: FamilyFirstJoined,
    },
    People {
        language: "ja",
        country: "JP",
        cities: &["東京", "京都", "札幌"],
        streets: &["千代田1-1", "本町3丁目", "桜通り5"],
        given: &[
            ("太郎", "taro"),
            ("さくら", "sakura"),
            ("ケン", "ken"),
            ("花子", "hanako"),
        ],
        family: &[
            ("山田", "yamada"),
            ("髙橋", "takahashi"),
            ("斎藤", "saito"),
            ("サトウ", "sato"),
        ],
        order: FamilyFirstWide,
    },
];

/// Names that are one word in any language.
pub const SINGLE: &[(&str, &str)] = &[
    ("Björk", "bjork"),
    ("Pelé", "pele"),
    ("Sukarno", "sukarno"),
    ("Χρυσάνθη", "chrysanthi"),
];
