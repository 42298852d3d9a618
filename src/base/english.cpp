// What the pages say in English. The titles are those of the table of problems.
#include <gatehouse/base/language.hpp>

namespace gatehouse {
namespace {

struct english_text {
    problem about;
    const char* text;
};
constexpr english_text texts[] = {
    {problem::bad_request,
     "Your browser or another program sent something that is no proper request. Please go back "
     "and try again."},
    {problem::suspended_billing,
     "If it is yours, please settle what is open with your provider. Otherwise please come back "
     "later."},
    {problem::suspended_abuse,
     "Its provider has taken it out of service. If it is yours, please get in touch with support."},
    {problem::tenant_mismatch,
     "Parts of the request name different services. Please open the address again from the "
     "beginning."},
    {problem::forbidden,
     "You may not come here from where you are. If you think you should, please get in touch "
     "with support."},
    {problem::unknown_host,
     "There is no service of this name here. Please check the spelling of the address."},
    {problem::not_found,
     "There is no such page. Please check the address, or begin at the start page."},
    {problem::method_not_allowed,
     "What was asked for cannot be done at this address."},
    {problem::request_timeout,
     "Your connection may be slow or was interrupted. Please try again."},
    {problem::tenant_gone,
     "It has been closed and will not come back at this address."},
    {problem::body_too_large,
     "What you sent is larger than this service takes. Please send less, or in parts."},
    {problem::target_too_long,
     "Please shorten the address, or begin at the start page."},
    {problem::expectation_failed,
     "The program that you use asks for something that this service does not offer."},
    {problem::misdirected,
     "Please reload the page; your browser then opens a new connection."},
    {problem::wrong_region,
     "It may not be served from here. Please open it at the address that you were given for your "
     "region."},
    {problem::rate_limited,
     "There were more requests in a short time than this service takes. Please wait a moment."},
    {problem::concurrency_limited,
     "As many requests are being worked on as this service takes. Please wait a moment."},
    {problem::quota_exhausted,
     "It has had all the requests that its plan covers for now. Please come back later."},
    {problem::head_too_large,
     "Often it helps to delete the cookies of this site and to try again."},
    {problem::suspended_legal,
     "It may not be offered at present. If it is yours, please get in touch with support."},
    {problem::unknown_coding,
     "The program that you use sends data in a way that this service does not understand."},
    {problem::upstream_failed,
     "Something went wrong behind this page. Please try again in a moment."},
    {problem::no_endpoint,
     "It should be back soon. Please try again in a moment."},
    {problem::overloaded,
     "There is more to do than can be done at once. Please wait a moment and try again."},
    {problem::tenant_provisioning,
     "It will be ready shortly. Please try again in a moment."},
    {problem::tenant_maintenance,
     "We are working on it and will be back soon. Thank you for your patience."},
    {problem::registry_unavailable,
     "This should be over soon. Please try again in a moment."},
    {problem::upstream_timeout,
     "It may be busy. Please try again in a moment."},
    {problem::version_not_supported,
     "The program that you use speaks a version of HTTP that is not understood here."},
    {problem::loop,
     "This service is not set up properly. If it is yours, please get in touch with support."},
};
static_assert(std::size(texts) == static_cast<std::size_t>(problem::loop));

language_ptr make() {
    auto l = std::make_shared<language>();
    l->tag = "en";
    l->request = "Request";
    l->support = "Contact support";
    l->back = "Expected back:";
    for (const english_text& t : texts)
        l->page(t.about) = {.title = std::string(row(t.about).title), .text = t.text};
    return l;
}

}  // namespace

const language_ptr& english() {
    static const language_ptr one = make();
    return one;
}

}  // namespace gatehouse
