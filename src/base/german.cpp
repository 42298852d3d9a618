// What the pages say in German.
#include <gatehouse/base/language.hpp>

namespace gatehouse {
namespace {

struct german_text {
    problem about;
    const char *title, *text;
};
constexpr german_text texts[] = {
    {problem::bad_request, "Die Anfrage war nicht zu verstehen",
     "Ihr Browser oder ein anderes Programm hat etwas gesendet, das keine gültige Anfrage ist. "
     "Bitte gehen Sie zurück und versuchen Sie es noch einmal."},
    {problem::suspended_billing, "Dieser Dienst ruht, bis die Rechnung beglichen ist",
     "Wenn es Ihr Dienst ist, begleichen Sie bitte bei Ihrem Anbieter, was offen ist. "
     "Andernfalls schauen Sie bitte später wieder vorbei."},
    {problem::suspended_abuse, "Dieser Dienst ist gesperrt",
     "Sein Anbieter hat ihn außer Betrieb genommen. Wenn es Ihr Dienst ist, wenden Sie sich "
     "bitte an den Support."},
    {problem::tenant_mismatch, "Die Anfrage nennt mehr als einen Mandanten",
     "Teile der Anfrage nennen verschiedene Dienste. Bitte rufen Sie die Adresse noch einmal von "
     "vorn auf."},
    {problem::forbidden, "Diese Anfrage ist nicht erlaubt",
     "Von Ihrem Ort aus ist der Zugang nicht gestattet. Wenn Sie meinen, dass er es sein sollte, "
     "wenden Sie sich bitte an den Support."},
    {problem::unknown_host, "Unter dieser Adresse gibt es nichts",
     "Einen Dienst dieses Namens gibt es hier nicht. Bitte prüfen Sie die Schreibweise der "
     "Adresse."},
    {problem::not_found, "Hier wurde nichts gefunden",
     "Diese Seite gibt es nicht. Bitte prüfen Sie die Adresse oder beginnen Sie auf der "
     "Startseite."},
    {problem::method_not_allowed, "Diese Methode ist nicht erlaubt",
     "Was verlangt wurde, geht unter dieser Adresse nicht."},
    {problem::request_timeout, "Die Anfrage kam nicht rechtzeitig an",
     "Vielleicht ist Ihre Verbindung langsam oder wurde unterbrochen. Bitte versuchen Sie es "
     "noch einmal."},
    {problem::tenant_gone, "Diesen Dienst gibt es nicht mehr",
     "Er wurde geschlossen und kehrt unter dieser Adresse nicht zurück."},
    {problem::body_too_large, "Die Anfrage ist zu groß",
     "Was Sie gesendet haben, ist größer, als dieser Dienst es annimmt. Bitte senden Sie weniger "
     "oder in Teilen."},
    {problem::target_too_long, "Die Adresse ist zu lang",
     "Bitte kürzen Sie die Adresse oder beginnen Sie auf der Startseite."},
    {problem::expectation_failed, "Die Erwartung dieser Anfrage lässt sich nicht erfüllen",
     "Das Programm, das Sie benutzen, verlangt etwas, das dieser Dienst nicht bietet."},
    {problem::misdirected, "Diese Verbindung ist nicht für diese Adresse",
     "Bitte laden Sie die Seite neu; Ihr Browser öffnet dann eine neue Verbindung."},
    {problem::wrong_region, "Dieser Dienst ist in einer anderen Region erreichbar",
     "Von hier aus darf er nicht angeboten werden. Bitte rufen Sie ihn unter der Adresse auf, "
     "die Sie für Ihre Region erhalten haben."},
    {problem::rate_limited, "Zu viele Anfragen, bitte gleich noch einmal",
     "Es kamen in kurzer Zeit mehr Anfragen, als dieser Dienst annimmt. Bitte warten Sie einen "
     "Augenblick."},
    {problem::concurrency_limited, "Zu viele Anfragen zugleich, bitte gleich noch einmal",
     "Es werden schon so viele Anfragen bearbeitet, wie dieser Dienst annimmt. Bitte warten Sie "
     "einen Augenblick."},
    {problem::quota_exhausted, "Das Kontingent dieses Dienstes ist aufgebraucht",
     "Er hat alle Anfragen erhalten, die sein Tarif vorerst abdeckt. Bitte schauen Sie später "
     "wieder vorbei."},
    {problem::head_too_large, "Die Kopffelder der Anfrage sind zu groß",
     "Oft hilft es, die Cookies dieser Seite zu löschen und es noch einmal zu versuchen."},
    {problem::suspended_legal, "Dieser Dienst ist aus rechtlichen Gründen nicht verfügbar",
     "Er darf zurzeit nicht angeboten werden. Wenn es Ihr Dienst ist, wenden Sie sich bitte an "
     "den Support."},
    {problem::unknown_coding, "Diese Übertragungskodierung wird nicht unterstützt",
     "Das Programm, das Sie benutzen, sendet Daten auf eine Weise, die dieser Dienst nicht "
     "versteht."},
    {problem::upstream_failed, "Die Anwendung hat nicht richtig geantwortet",
     "Hinter dieser Seite ist etwas schiefgegangen. Bitte versuchen Sie es gleich noch einmal."},
    {problem::no_endpoint, "Die Anwendung ist gerade nicht verfügbar",
     "Sie sollte bald wieder da sein. Bitte versuchen Sie es gleich noch einmal."},
    {problem::overloaded, "Gerade ist zu viel los, bitte gleich noch einmal",
     "Es gibt mehr zu tun, als auf einmal zu schaffen ist. Bitte warten Sie einen Augenblick und "
     "versuchen Sie es noch einmal."},
    {problem::tenant_provisioning, "Dieser Dienst wird gerade eingerichtet",
     "Er ist in Kürze bereit. Bitte versuchen Sie es gleich noch einmal."},
    {problem::tenant_maintenance, "Dieser Dienst wird gerade gewartet",
     "Wir arbeiten daran und sind bald wieder da. Danke für Ihre Geduld."},
    {problem::registry_unavailable, "Dieser Dienst lässt sich gerade nicht nachschlagen",
     "Das sollte bald vorbei sein. Bitte versuchen Sie es gleich noch einmal."},
    {problem::upstream_timeout, "Die Anwendung hat zu lange nicht geantwortet",
     "Vielleicht ist sie beschäftigt. Bitte versuchen Sie es gleich noch einmal."},
    {problem::version_not_supported, "Diese HTTP-Version wird nicht unterstützt",
     "Das Programm, das Sie benutzen, spricht eine HTTP-Version, die hier nicht verstanden wird."},
    {problem::loop, "Die Anfrage kam dorthin zurück, wo sie schon war",
     "Dieser Dienst ist nicht richtig eingerichtet. Wenn es Ihr Dienst ist, wenden Sie sich "
     "bitte an den Support."},
};
static_assert(std::size(texts) == static_cast<std::size_t>(problem::loop));

language_ptr make() {
    auto l = std::make_shared<language>();
    l->tag = "de";
    l->request = "Anfrage";
    l->support = "Support kontaktieren";
    l->back = "Voraussichtlich wieder da:";
    for (const german_text& t : texts)
        l->page(t.about) = {.title = t.title, .text = t.text};
    return l;
}

}  // namespace

const language_ptr& german() {
    static const language_ptr one = make();
    return one;
}

}  // namespace gatehouse
